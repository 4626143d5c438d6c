"""What holds for names whatever a person called the file."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain import keys

quick = settings(deadline=None)

# Any code point, half of a surrogate pair too; and names that look like paths and options.
names = st.text(max_size=300) | st.text(
    st.sampled_from("ab.-_/\\ \n\x00'\"é影🎬\u202e\ud800"), max_size=40
)
job_ids = st.text("0123456789abcdef", min_size=20, max_size=20)
drive_ids = st.from_regex(r"[A-Za-z0-9_-]{10,44}", fullmatch=True)
versions = st.from_regex(r"[0-9a-f]{32}", fullmatch=True)


@quick
@given(names)
def test_a_slug_is_safe_anywhere(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}", keys.slug(name))
    assert keys.slug(name)[-1] not in "-_"


@quick
@given(names)
def test_a_slug_of_a_slug_is_itself(name: str) -> None:
    assert keys.slug(keys.slug(name)) == keys.slug(name)


@quick
@given(job_ids, names)
def test_every_s3_key_is_short_and_free_of_hostile_parts(job_id: str, name: str) -> None:
    made = (
        keys.source_key(job_id, name),
        keys.published_key("compress", job_id, name, ".mp4"),
        keys.published_key("compress", job_id, name, keys.extension(name)),
        keys.metric_key(job_id, 3, "SSIM"),
    )
    for key in made:
        # Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
        assert len(key.encode()) <= 1024
        assert re.fullmatch(r"[A-Za-z0-9_/.-]+", key)
        assert not {"", ".", ".."} & set(key.split("/"))


@quick
@given(drive_ids, versions, versions)
def test_job_ids_are_stable_and_told_apart(file_id: str, one: str, other: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{20}", keys.job_id("compress", file_id, one))
    assert keys.job_id("compress", file_id, one) == keys.job_id("compress", file_id, one)
    same = keys.job_id("compress", file_id, one) == keys.job_id("compress", file_id, other)
    assert same == (one == other)


@quick
@given(st.text(min_size=1, max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_job_ids_take_any_text(workflow: str, file_id: str, version: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{20}", keys.job_id(workflow, file_id, version))


@quick
@given(job_ids, st.integers(1, 10**6))
def test_execution_names_are_valid_and_read_back(job_id: str, run: int) -> None:
    name = keys.execution_name(job_id, run)
    # Source: https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name)
    assert keys.job_and_run(name) == (job_id, run)


@quick
@given(st.text(max_size=60))
def test_any_text_may_be_asked_whether_it_is_an_execution(name: str) -> None:
    found = keys.job_and_run(name)
    assert found is None or keys.execution_name(*found) == name
