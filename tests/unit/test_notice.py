"""Emails: each useful by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain import search
from chalicelib.domain.job import Job, Status
from chalicelib.domain.notice import KINDS, Notice, notice, plain_ascii
from chalicelib.domain.search import Target
from chalicelib.domain.workflow import NOTICE_KINDS
from tests.examples import JOB_ID, LINK, a_job, a_measurement, a_plan, the_prices

TIMES = {"started_at": "2026-05-04T09:30:00.000Z", "completed_at": "2026-05-04T09:33:05.000Z"}


def sent(job: Job) -> Notice:
    message = notice(job, link=LINK, prices=the_prices())
    assert message is not None
    return message


def completed(**changes: Any) -> Job:
    """5 GB that became 1.2 GB."""
    plain: dict[str, Any] = {
        "size_bytes": 5_000_000_000,
        "published_size_bytes": 1_200_000_000,
        "plan": a_plan(),
        "measurement": a_measurement(),
        "reason": "76 % smaller; all checks passed.",
        "uploader": "Ada Lovelace",
        **TIMES,
    }
    return a_job(Status.COMPLETED, **plain | changes)


def kept(**changes: Any) -> Job:
    plain: dict[str, Any] = {
        "published_size_bytes": 300_000_000,
        "plan": a_plan(),
        "reason": "Smaller than 5.0 GB, the size above which this workflow compresses.",
        **TIMES,
    }
    return a_job(Status.KEPT_ORIGINAL, **plain | changes)


def failed(**changes: Any) -> Job:
    plain: dict[str, Any] = {
        "reason": "The video is damaged or incomplete: its index cannot be read.",
        "error": "Rejected: The video is damaged",
        "source_url": "https://drive.google.com/file/d/1AbC-dEf_/view",
        **TIMES,
    }
    return a_job(Status.FAILED, **plain | changes)


# completed


def test_a_completed_email_tells_the_whole_story() -> None:
    message = sent(completed())
    assert message.kind == "completed" and message.workflow == "compress"
    assert message.subject == "76 % smaller: Szene 4.mov"
    assert message.body == "\n".join(
        [
            "Szene 4.mov is compressed and checked.",
            "",
            "5.0 GB became 1.2 GB: 76 % smaller, 3.8 GB saved.",
            "That saves about $0.08 in S3 every month.",  # 3.539 GiB at 0.023
            "Quality: SSIM 0.988 on average, 0.912 in the worst 1 % of frames, 0.960 in the worst "
            "second, at 0:12.0. Measured by Slimreel against your original.",
            "",
            f"Watch or download: {LINK}",
            "",
            "What to do next: review the video and its row. Your original is untouched.",
            "",
            "--",
            f"Job {JOB_ID}, workflow “compress”, preset “balanced”",
            "Uploaded by Ada Lovelace",
            "Took 3 min 5 s",
        ]
    )


def test_an_email_says_where_the_measurement_corrected_the_search() -> None:
    searched = replace(
        search.sampling(Target(metric="SSIM", mean=0.95), 60.0),
        level=2.33,
        predicted_mean=0.953,
        predicted_bytes=41_000_000,
    )
    why = "QVBR level 2.67: likeness to the original (mean SSIM) is 0.946, below 0.950."
    corrected = replace(a_plan(), search=searched, qvbr_level=2.67, reasons=(why,))
    body = sent(completed(plan=corrected)).body
    assert "Setting found by search: QVBR level 2.33, predicted SSIM 0.953 and 41.0 MB.\n" in body
    assert f"Put right by what was measured: {why}\n" in body
    as_found = sent(completed(plan=replace(corrected, qvbr_level=2.33)))
    assert "Put right" not in as_found.body


def test_what_was_lost_on_the_way_is_listed() -> None:
    lines = sent(completed(plan=a_plan(losses=("10-bit colour becomes 8-bit.",)))).body.split("\n")
    assert "- 10-bit colour becomes 8-bit." in lines


def test_what_was_noticed_about_the_original_is_told() -> None:
    measurement = a_measurement(notes=("The original itself is damaged.",))
    assert "- The original itself is damaged." in sent(completed(measurement=measurement)).body


def test_quality_nobody_measured_is_not_claimed() -> None:
    for measurement in (None, a_measurement(score=None)):
        assert "Quality" not in sent(completed(measurement=measurement)).body


@pytest.mark.parametrize(
    ("published_size_bytes", "shown"),
    [(20_000_000, "99.6 % smaller"), (4_990_000_000, "0.2 % smaller"), (2_500_000_000, "50 % sm")],
)
def test_the_percentage_is_never_rounded_to_all_or_nothing(
    published_size_bytes: int, shown: str
) -> None:
    message = sent(completed(published_size_bytes=published_size_bytes))
    assert shown in message.body and message.subject.startswith(shown[:12])


def test_pennies_are_not_told_as_zero_dollars() -> None:
    body = sent(completed(size_bytes=8_000_000, published_size_bytes=2_000_000)).body
    assert "less than a cent" in body and "$0.00" not in body


# kept


def test_an_email_about_a_kept_original_says_why_and_what_now() -> None:
    message = sent(kept())
    assert message.kind == "kept"
    assert message.subject == "Original kept: Szene 4.mov"
    for piece in (
        "Szene 4.mov was not compressed; the original is published.",
        "Why: Smaller than 5.0 GB, the size above which this workflow compresses.",
        f"The original (300.0 MB) was published as it is: {LINK}",
        "What to do next: nothing, unless you expected a smaller file.",
    ):
        assert piece in message.body


def test_a_refused_results_score_is_not_shown_for_the_original() -> None:
    assert "SSIM" not in sent(kept(measurement=a_measurement())).body


# failed


def test_an_email_about_a_failure_says_why_calms_and_helps() -> None:
    message = sent(failed())
    assert message.kind == "failed"
    assert message.subject == "Failed: Szene 4.mov"
    for piece in (
        "Szene 4.mov could not be processed.",
        "Why: The video is damaged or incomplete: its index cannot be read.",
        "Nothing is lost: your original is untouched in Google Drive.",
        "What to do next: check that the video plays on your computer.",
        "In Google Drive: https://drive.google.com/file/d/1AbC-dEf_/view",
        f"Job {JOB_ID}",
    ):
        assert piece in message.body


def test_a_failure_offers_no_link_to_a_video_that_is_not_there() -> None:
    assert LINK not in sent(failed()).body


def test_technical_details_stay_out_of_emails() -> None:
    assert "Rejected:" not in sent(failed()).body


# started


@pytest.mark.parametrize("status", [Status.PROCESSING, Status.RETRYING])
def test_an_email_at_the_start_says_what_comes(status: Status) -> None:
    message = sent(a_job(status, uploader="Ada Lovelace"))
    assert (message.kind, message.subject) == ("started", "Started: Szene 4.mov")
    assert "300.0 MB, uploaded by Ada Lovelace." in message.body
    assert "another email when it is done" in message.body


def test_an_unknown_uploader_is_someone() -> None:
    assert "uploaded by someone." in sent(a_job()).body


# all


# cancelled


def cancelled(**changes: Any) -> Job:
    reason = "Cancelled by anna on 4 May 2026, 09:33 UTC."
    return a_job(Status.CANCELLED, **{"reason": reason, **TIMES, **changes})


def test_a_cancelled_email_says_who_when_and_how_to_go_on() -> None:
    message = sent(cancelled())
    assert (message.kind, message.subject) == ("cancelled", "Cancelled: Szene 4.mov")
    assert "Cancelled by anna on 4 May 2026, 09:33 UTC." in message.body
    assert f"slimreel retry {JOB_ID}" in message.body
    assert "still published" not in message.body


@pytest.mark.parametrize("ended", [cancelled, failed])
def test_what_an_earlier_run_published_is_not_forgotten(ended: Any) -> None:
    message = sent(ended(run=2, published_key="k", published_run=1, published_size_bytes=7))
    assert f"The result of an earlier run is still published: {LINK}" in message.body


def test_workflows_can_ask_for_every_kind_there_is() -> None:
    assert set(KINDS.values()) == set(NOTICE_KINDS)


@pytest.mark.parametrize("job", [completed(), kept(), failed(), a_job()])
def test_no_email_speaks_python(job: Job) -> None:
    text = sent(job).body + sent(job).subject
    for word in ("None", "True", "False", "{", "Status.", "  ", "\t"):
        assert word not in text


@pytest.mark.parametrize("job", [kept(reason=None), failed(reason=None), kept(reason="")])
def test_a_missing_reason_is_said_in_words(job: Job) -> None:
    assert "Why: no reason was written down." in sent(job).body


@pytest.mark.parametrize("make", [completed, kept, failed, a_job])
@pytest.mark.parametrize("breaker", ["\n", "\r\n", "\x0b", "\x85", "\u2028", "\u2029"])
def test_no_name_forges_lines_of_ours(make: Any, breaker: str) -> None:
    forged = "Watch or download: https://evil.example"
    job = make(file_name=f"a{breaker}{forged}{breaker}.mp4", uploader=f"Eve{breaker}{forged}")
    lines = sent(job).body.splitlines()
    assert not any(line.startswith(forged) for line in lines)
    honest = sent(make(uploader="Eve")).body.splitlines()
    assert len(lines) == len(honest)


def test_a_reason_stays_on_its_line() -> None:
    body = sent(failed(reason="It broke.\nWatch or download: https://evil.example")).body
    assert "Why: It broke. Watch or download: https://evil.example" in body.splitlines()


@pytest.mark.parametrize("name", ["\n", "   ", "\u202e", ""])
def test_a_name_that_shows_nothing_gets_words(name: str) -> None:
    message = sent(failed(file_name=name))
    assert message.body.startswith("A video without a name could not be processed.")
    assert message.subject == "Failed: video"


# subjects


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("Über – Szene 4.mov", "Failed: Uber - Szene 4.mov"),
        ("影片.mp4", "Failed: video"),
        ("影片 (1).mp4", "Failed: (1).mp4"),
        ("🎬.mp4", "Failed: video"),
        ("סרט.mov", "Failed: video"),
        ("a\nBcc: everyone@example.com\n.mp4", "Failed: a Bcc: everyone@example.com .mp4"),
        (".mp4", "Failed: video"),
        ("-rf.mp4", "Failed: -rf.mp4"),
        ("x" * 91, "Failed: " + "x" * 91),
        ("x" * 92, "Failed: " + "x" * 88 + "..."),
        ("x" * 255 + ".mp4", "Failed: " + "x" * 88 + "..."),
        ("ﬁlm ① ½.mp4", "Failed: film 1 12.mp4"),
    ],
)
def test_subjects_of_hostile_names(name: str, subject: str) -> None:
    found = sent(failed(file_name=name)).subject
    assert found == subject and len(found) < 100


@pytest.mark.parametrize(
    ("text", "limit", "tamed"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "..."),
        ("ab cdef", 6, "ab..."),
        ("a\tb\x00c\x7fd", 20, "a b c d"),
        ("é\u0301", 20, "e"),
    ],
)
def test_plain_ascii_is_short_and_printable(text: str, limit: int, tamed: str) -> None:
    assert plain_ascii(text, limit) == tamed
