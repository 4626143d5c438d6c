"""Names that end up in S3, Step Functions and links."""

from __future__ import annotations

import pytest

from chalicelib.domain import keys

JOB = "0123456789abcdef0123"


def test_a_job_id_is_the_same_for_ever() -> None:
    # A new value here would encode every open job's video a second time.
    found = keys.job_id("compress", "1AbC-dEf_", "d41d8cd98f00b204e9800998ecf8427e")
    assert found == "5a0ea3f943aed5a303ee"


@pytest.mark.parametrize(
    "other",
    [
        ("archive", "1AbC-dEf_", "d41d8cd98f00b204e9800998ecf8427e"),
        ("compress", "1AbC-dEf-", "d41d8cd98f00b204e9800998ecf8427e"),
        ("compress", "1AbC-dEf_", "d41d8cd98f00b204e9800998ecf8427f"),
    ],
)
def test_workflow_file_and_content_each_make_another_job(other: tuple[str, str, str]) -> None:
    first = ("compress", "1AbC-dEf_", "d41d8cd98f00b204e9800998ecf8427e")
    assert keys.job_id(*other) != keys.job_id(*first)


def test_an_execution_name_holds_job_and_run() -> None:
    assert keys.execution_name(JOB, 12) == f"{JOB}-12"
    assert keys.job_and_run(f"{JOB}-12") == (JOB, 12)


@pytest.mark.parametrize(
    "name",
    [
        "",
        JOB,
        f"{JOB}-",
        f"{JOB}-1x",
        f"{JOB}-1\n",
        f"{JOB}--1",
        f"x{JOB}-1",
        f"{JOB}0-1",
        f"{JOB.upper()}-1",
        f"{JOB}-１",  # a full-width digit
        "a1b2c3d4-0000-1111-2222-333344445555",
    ],
)
def test_other_execution_names_are_not_ours(name: str) -> None:
    assert keys.job_and_run(name) is None


def test_temporary_keys_lie_under_the_jobs_prefix() -> None:
    assert keys.job_prefix(JOB) == f"jobs/{JOB}/"
    assert keys.source_key(JOB, "Take 3.MOV") == f"jobs/{JOB}/source.mov"
    assert keys.encoded_key(JOB, 2) == f"jobs/{JOB}/a2/encoded.mp4"
    assert keys.metric_key(JOB, 2, "SSIM") == f"jobs/{JOB}/a2/encoded_SSIM.csv"
    assert keys.restored_key(JOB, 2) == f"jobs/{JOB}/a2/restored.mp4"
    assert keys.measurement_key(JOB, 2) == f"jobs/{JOB}/a2/measurement.json"


def test_one_attempts_prefix_holds_no_other_attempt() -> None:
    assert not keys.attempt_prefix(JOB, 10).startswith(keys.attempt_prefix(JOB, 1))


def test_the_published_key_is_readable_and_unique_per_job() -> None:
    key = keys.published_key("compress", JOB, "Über – Szene 4 (final).mov", ".mp4")
    assert key == f"compress/{JOB}/Uber-Szene-4-final.mp4"


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("Take 3.MOV", ".mov"),
        ("a.b.mp4", ".mp4"),
        (".mp4", ".mp4"),
        ("no extension", ""),
        ("dot at end.", ""),
        ("x.toolong", ""),
        ("x.mp4/../../etc", ""),
        ("x.m p", ""),
        ("x.видео", ""),
        ("x.mp4\n", ".mp4"),
        ("", ""),
    ],
)
def test_only_plain_extensions_are_kept(name: str, extension: str) -> None:
    assert keys.extension(name) == extension
    assert keys.source_key(JOB, name) == f"jobs/{JOB}/source{extension}"


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Szene 4.mov", "Szene-4"),
        ("-rf --no-preserve-root.mp4", "rf-no-preserve-root"),
        ("../../etc/passwd.mp4", "etc-passwd"),
        ("a\nb\tc\x00d.mp4", "a-b-c-d"),
        ("'; DROP TABLE jobs; --.mp4", "DROP-TABLE-jobs"),
        ("影片.mp4", "video"),
        ("🎬.mp4", "video"),
        ("\u202egpj.4pm", "gpj"),
        ("...", "video"),
        ("___", "video"),
        ("", "video"),
        ("x" * 300 + ".mp4", "x" * 60),
        ("x" * 59 + " y.mp4", "x" * 59),  # no dash left at the cut
    ],
)
def test_slugs_of_hostile_names(name: str, slug: str) -> None:
    assert keys.slug(name) == slug
