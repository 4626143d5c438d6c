"""Cut a rewritten film into the parts of an S3 upload."""

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.mp4 import Copy, MovieMetadata, Rewrite, Upload, parts

SMALLEST, LARGEST = 50, 500


@st.composite
def rewrites(draw):
    size = draw(st.integers(0, 3_000))
    start = draw(st.integers(0, size))
    end = draw(st.integers(start, size))
    body = b"\xff" * draw(st.integers(0, 200))
    return Rewrite(start=start, end=end, body=body, metadata=MovieMetadata()), size


def written(plan, old: bytes) -> bytes:
    new = b""
    for part in plan:
        match part:
            case Copy(start=start, end=end):
                new += old[start:end]
            case Upload():
                new += old[part.before_start : part.before_end] + part.body
                new += old[part.after_start : part.after_end]
    return new


@given(rewrites())
def test_parts_make_the_new_file_and_s3_accepts_them(case):
    rewrite, size = case
    old = bytes(number % 251 for number in range(size))
    plan = parts(rewrite, size, part_min_bytes=SMALLEST, copy_max_bytes=LARGEST)
    assert written(plan, old) == old[: rewrite.start] + rewrite.body + old[rewrite.end :]
    sizes = [p.size_bytes if isinstance(p, Upload) else p.end - p.start for p in plan]
    assert all(length >= SMALLEST for length in sizes[:-1])
    assert all(p.end - p.start <= LARGEST for p in plan if isinstance(p, Copy))
    assert sum(isinstance(p, Upload) for p in plan) == 1


def test_index_in_front_uploads_one_part_and_copies_the_rest():
    end = 20 * 2**30
    rewrite = Rewrite(start=32, end=1_000, body=bytes(2_000), metadata=MovieMetadata())
    first, *rest = parts(rewrite, end)
    assert isinstance(first, Upload)
    assert first.size_bytes == 5 * 2**20
    assert (first.before_start, first.before_end, first.after_start) == (0, 32, 1_000)
    assert all(isinstance(part, Copy) for part in rest)
    assert len(rest) == 4


def test_index_at_the_end_copies_the_film_and_uploads_only_the_index():
    size = 6 * 2**30
    rewrite = Rewrite(start=size - 1_000, end=size, body=bytes(2_000), metadata=MovieMetadata())
    first, second, last = parts(rewrite, size)
    assert isinstance(first, Copy) and isinstance(second, Copy) and isinstance(last, Upload)
    assert last.size_bytes == 2_000
