"""Permanent links that only we can make."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.domain.link import is_genuine, number_of, signature, video_link

JOB = "0123456789abcdef0123"
KEY = "a key that nobody knows"


def test_a_link_leads_to_us_and_carries_its_proof() -> None:
    url = urlsplit(video_link("https://slimreel.example/api/", JOB, KEY))
    assert (url.scheme, url.netloc, url.path) == ("https", "slimreel.example", f"/api/v/{JOB}")
    (given,) = parse_qs(url.query)["s"]
    assert is_genuine(JOB, given, KEY)


def test_the_signature_is_half_of_an_hmac_sha256() -> None:
    whole = hmac.new(KEY.encode(), b"v:" + JOB.encode(), hashlib.sha256).hexdigest()
    assert signature(JOB, KEY) == whole[:32]


def test_the_link_of_a_job_never_changes() -> None:
    assert video_link("https://a", JOB, KEY) == video_link("https://a/", JOB, KEY)


@pytest.mark.parametrize(
    ("job_id", "key"), [("0123456789abcdef0124", KEY), (JOB, "another key"), (JOB + "x", KEY)]
)
def test_it_opens_no_other_job_and_dies_with_its_key(job_id: str, key: str) -> None:
    assert not is_genuine(job_id, signature(JOB, KEY), key)


@pytest.mark.parametrize("given", ["", "0" * 32, "é" * 32, "🎬", "\ud83c", "\x00", "a" * 10_000])
def test_other_proofs_are_refused(given: str) -> None:
    assert is_genuine(JOB, given, KEY) is False


def test_a_proof_must_be_whole() -> None:
    whole = signature(JOB, KEY)
    for given in (whole[:-1], whole + "0", whole.upper() + " ", f" {whole}"):
        assert not is_genuine(JOB, given, KEY)


def test_a_link_knows_its_number() -> None:
    assert [number_of(JOB, signature(JOB, KEY, n), KEY) for n in (0, 1, 12)] == [0, 1, 12]
    first, second = signature(JOB, KEY), signature(JOB, KEY, 1)
    assert first.partition("-")[0] != second.partition("-")[0]


@pytest.mark.parametrize("number", ["-1", "-2", "-01", "-0", "--1", "-1000000", "-1 ", "-²", "-"])
def test_nobody_renumbers_a_link(number: str) -> None:
    for whole in (signature(JOB, KEY), signature(JOB, KEY, 1)):
        forged = whole.partition("-")[0] + number
        assert forged == signature(JOB, KEY, 1) or number_of(JOB, forged, KEY) is None
