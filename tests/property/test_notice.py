"""What holds for emails whatever a file or a person is called."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.job import Job, Status
from chalicelib.domain.notice import KINDS, Notice, notice, plain_ascii
from chalicelib.domain.text import one_line
from tests.examples import LINK, a_job, a_measurement, a_plan, the_prices

quick = settings(deadline=None)

# Any code point, and names made of what breaks lines, turns text, combines or is no letter at all.
names = st.text(max_size=260) | st.text(
    st.sampled_from("aé影🎬 .\n\r\t\x00\x0b\x1f\x7f\x85\u2028\u2029\u202e\u200d\u0301\ud83c\"'<&"),
    max_size=60,
)


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    """A job as it can be: what is published is never bigger."""
    size_bytes = draw(st.integers(1, 10**13))
    return a_job(
        draw(st.sampled_from(sorted(KINDS))),
        file_name=draw(names),
        uploader=draw(st.none() | names),
        reason=draw(st.none() | names),
        size_bytes=size_bytes,
        published_size_bytes=draw(st.integers(1, size_bytes)),
        plan=draw(st.sampled_from([None, a_plan(), a_plan(losses=("One thing.", "And one."))])),
        measurement=draw(st.sampled_from([None, a_measurement(), a_measurement(score=None)])),
        started_at="2026-05-04T09:30:00.000Z",
        completed_at=draw(st.sampled_from([None, "2026-05-04T09:33:05.000Z"])),
    )


def sent(job: Job) -> Notice:
    message = notice(job, link=LINK, prices=the_prices())
    assert message is not None
    return message


@quick
@given(jobs())
def test_sns_takes_every_subject(job: Job) -> None:
    # Source: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
    subject = sent(job).subject
    assert 1 <= len(subject) <= 99
    assert subject.isascii() and subject.isprintable()
    assert subject[0].isalnum() and subject == subject.strip()


@quick
@given(jobs())
def test_sns_takes_every_body(job: Job) -> None:
    assert len(sent(job).body.encode()) < 256 * 1024


@quick
@given(jobs())
def test_the_body_has_no_control_characters_but_our_line_breaks(job: Job) -> None:
    body = sent(job).body
    assert body.splitlines() == body.split("\n")
    kinds = {unicodedata.category(c) for c in body.replace("\n", "")}
    assert not kinds & {"Cc", "Cs", "Zl", "Zp"}


@quick
@given(jobs())
def test_the_number_of_lines_is_ours_alone(job: Job) -> None:
    tame = replace(job, file_name="a.mp4", reason="Because.", uploader=job.uploader and "Ada")
    assert len(sent(job).body.splitlines()) == len(sent(tame).body.splitlines())


@quick
@given(jobs())
def test_no_figure_claims_all_or_nothing(job: Job) -> None:
    if job.status is Status.COMPLETED and 0 < (job.savings_ratio or 0) < 1:
        assert not sent(job).subject.startswith(("0 % ", "100 % "))


@quick
@given(jobs())
def test_the_body_opens_with_the_name_as_it_is(job: Job) -> None:
    first = sent(job).body.split("\n")[0]
    shown = one_line(job.file_name).strip()
    assert first.startswith(shown or "A video without a name")
    if all(c.isprintable() for c in job.file_name):
        assert first.startswith(job.file_name.strip())


@quick
@given(jobs())
def test_kind_and_status_agree(job: Job) -> None:
    message = sent(job)
    assert message.kind == KINDS[job.status]
    assert (LINK in message.body) == (job.status in (Status.COMPLETED, Status.KEPT_ORIGINAL))


@quick
@given(names, st.integers(3, 99))
def test_tamed_text_fits_its_limit(text: str, limit: int) -> None:
    tamed = plain_ascii(text, limit)
    assert len(tamed) <= limit
    assert tamed.isascii() and (not tamed or tamed.isprintable())
