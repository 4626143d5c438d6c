"""Hostile films and hostile names through the whole pipeline. `make corpus` sends the others."""

from __future__ import annotations

import json
import re
from email.message import Message
from pathlib import Path
from urllib.parse import unquote
from urllib.request import urlopen

import pytest

from bench.corpus import damaged, disguised, lying, weird
from bench.corpus.canary import Canary
from bench.corpus.run import run
from bench.corpus.surgery import box
from bench.corpus.workshop import Workshop
from chalicelib.domain.job import Job, Status
from tests.e2e.conftest import Studio

SHARE = (
    "16 bits of mdat turned, seed 4.mp4",
    "playlist of a file.mp4",
    "40,000 pieces of metadata.mp4",
    "six minutes of 4K60 in a megabyte.mp4",
)
NAMES = (
    "-i.mp4",
    "../../../../etc/cron.d/pwned.mp4",
    "=cmd|' /C calc'!A0.mp4",
    "{{7*7}}${7*7}{0.__class__}%s%n.mp4",
    "<script>alert(1)</script>\"'&.mp4",
    "a\nStatus: Completed\r\n\tWhy: forged\u2028line.mp4",
    "', {Status}='Failed'), '.mp4",
    "\u202egpj.4pm\u202c 🎬 e\u0301 \u0000\u0007.mp4",
    ("ж" * 251) + ".mp4",
    "$(touch /tmp/pwned) `id`; rm -rf ~ #?&=%2e%2e%2f.mp4",
)


def test_a_share_of_the_hostile_corpus(studio: Studio, tmp_path: Path) -> None:
    secret = tmp_path / "secret.mp4"
    shop = Workshop(tmp_path, secret_path=secret, secret_url="")
    secret.write_bytes(shop.sound("first.mp4"))
    with Canary(secret) as canary:
        shop.secret_url = canary.url
        kinds = (damaged, lying, disguised, weird)
        known = {film.name: film for kind in kinds for film in kind.films()}
        films = []
        for number, name in enumerate(SHARE):
            path = tmp_path / f"{number}"
            path.write_bytes(known[name].make(shop))
            films.append((known[name], path))
        canary.touched()
        endings = run(studio.deployment, films, canary=canary)
    broken = {one.film.name: (one.problems, one.details) for one in endings if one.problems}
    assert broken == {}


@pytest.fixture(scope="module")
def named(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    """A job for each hostile name, of films too small to be compressed: they are published as they
    are, quickly."""
    shop = Workshop(tmp_path_factory.mktemp("named"), secret_path=Path(), secret_url="")
    film = shop.make(
        "tiny.mp4", "-c:v", "libx264", picture="testsrc2=s=2x2:r=5:d=1,format=yuv420p", sounds=()
    )
    drive, inbox = studio.deployment.cloud.drive, studio.deployment.inbox_folder_id
    files = {
        name: drive.add_file(inbox, name, film + box(b"free", bytes([number])))
        for number, name in enumerate(NAMES)
    }
    jobs = {name: studio.job_id(file_id) for name, file_id in files.items()}
    return {name: studio.finished(job_id, wait_s=100) for name, job_id in jobs.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_only_a_name(studio: Studio, named: dict[str, Job], name: str) -> None:
    job = named[name]
    assert job.status is Status.KEPT_ORIGINAL, (job.reason, job.error)
    assert job.file_name == name
    # The row holds the name as a value: formulas and markup mean nothing in a text cell.
    row = studio.row(job.job_id)
    assert row["File Name"] == name and row["Status"] == "Kept original"
    # The email: a tame subject, and a body in which the name is one line.
    [email] = studio.emails(job.job_id)
    assert email.subject.isascii() and email.subject.isprintable() and len(email.subject) < 100
    assert not any(line.startswith(("Status:", "Why: forged")) for line in email.body.splitlines())
    # Keys in S3, and the download's name.
    assert job.source_key is not None and job.published_key is not None
    for key in (job.source_key, job.published_key):
        assert set(key) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./")
        assert ".." not in key and len(key) < 200
    with urlopen(row["Compressed URL"]) as answer:
        headers: Message = answer.headers
        disposition = headers["Content-Disposition"]
    kind, _, quoted = disposition.partition("; filename*=UTF-8''")
    assert (kind, unquote(quoted)) == ("attachment", name)
    assert headers.get("Set-Cookie") is None


def test_pages_show_hostile_names_as_text(studio: Studio, named: dict[str, Job]) -> None:
    base = studio.deployment.cloud.endpoint_url
    for page in ("/airtable", "/mail"):
        with urlopen(base + page) as answer:
            html = answer.read().decode()
            policy = answer.headers["Content-Security-Policy"]
        assert "<script>alert" not in html
        # The grid's own script is let through by its hash, and no other.
        allowed = re.findall(r"script-src ([^;]*)", policy)
        assert "default-src 'none'" in policy
        assert all(re.fullmatch(r"'sha256-[\w+/]+=*'", script) for script in allowed)
    assert "&lt;script&gt;alert(1)" in html  # of the subjects, on the mail page


def test_no_name_was_taken_for_a_path_or_a_command(named: dict[str, Job]) -> None:
    assert not Path("/tmp/pwned").exists() and not Path("/etc/cron.d/pwned.mp4").exists()


def test_no_name_made_a_line_of_its_own_in_any_log(studio: Studio, named: dict[str, Job]) -> None:
    for path in studio.deployment.logs_dir.glob("*.log"):
        for line in path.read_bytes().decode("utf-8", "replace").split("\n"):
            if line and not line.startswith(("START ", "END ", "REPORT ", "[ERROR] ")):
                assert isinstance(json.loads(line), dict), (path.name, line)
