"""What a hostile film may do to whoever opens it: nothing but be slow for a while."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import imageio_ffmpeg
import psutil
import pytest

from bench.corpus import disguised
from bench.corpus.canary import Canary
from bench.corpus.film import Film
from bench.corpus.workshop import Workshop
from chalicelib.adapters import confine
from chalicelib.adapters.ffmpeg import Ffmpeg, ToolFailed
from slimreel.local.mediaconvert import encode, reading
from slimreel.local.mediaconvert.errors import Unreadable
from slimreel.local.mediaconvert.render import Rendering, commands
from slimreel.local.mediaconvert.source import Source
from slimreel.local.mediaconvert.timecode import Clip

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
TOOL = Ffmpeg(FFMPEG)
linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux says when a parent dies")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def canary(folder: Path) -> Iterator[Canary]:
    secret = folder / "secret.mp4"
    secret.write_bytes(Workshop(folder, secret_path=folder, secret_url="").sound("first.mp4"))
    with Canary(secret) as canary:
        yield canary


@pytest.fixture(scope="module")
def shop(folder: Path, canary: Canary) -> Workshop:
    return Workshop(folder / "made", secret_path=canary.path, secret_url=canary.url)


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    served = folder / "served"
    served.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


# References


@linux
def test_the_canary_sings(shop: Workshop, canary: Canary, tmp_path: Path) -> None:
    """An ffmpeg that is told nothing goes where playlists lead; so the tests below can fail."""
    films = {film.name: film for film in disguised.references()}
    for name, told in (
        ("playlist of a file.mp4", "secret.mp4 was opened"),
        ("playlist of an address.mp4", "was called"),
    ):
        path = tmp_path / "list.m3u8"
        path.write_bytes(films[name].make(shop))
        canary.touched()
        careless = [FFMPEG, "-nostdin", "-allowed_extensions", "ALL", "-extension_picky", "0"]
        careless += ["-protocol_whitelist", "file,http,tcp"]
        subprocess.run([*careless, "-i", path], capture_output=True, check=False, timeout=60)
        assert told in str(canary.touched())


@linux
@pytest.mark.parametrize("film", tuple(disguised.references()), ids=lambda film: film.name)
def test_no_film_leads_anywhere(
    film: Film, shop: Workshop, canary: Canary, folder: Path, address: str, tmp_path: Path
) -> None:
    path = folder / "served" / "film.mp4"
    path.write_bytes(film.make(shop))
    canary.touched()
    copying = ["-map", "0", "-c", "copy", "-f", "framecrc", "-"]
    for where in (str(path), address + path.name):
        with_options = ["-nostdin", "-v", "error", *TOOL.reading(where, "-t", "1"), *copying]
        try:
            TOOL.run(with_options, timeout_s=30)
        except ToolFailed as failure:
            assert failure.completed.exit_code > 0
    try:
        reading.read(path)
    except Unreadable as refusal:
        assert str(refusal)
    argv = encoding(path)
    try:
        encode.run(argv, work_dir=tmp_path, stop=encode.Stop())
    except encode.FfmpegFailed as failed:
        assert failed.code > 0
    assert canary.touched() == []


def encoding(path: Path, *clips: Clip) -> tuple[str, ...]:
    """The encoder's own command for a file, whatever it is."""
    source = Source(
        path=path,
        container="mp4",
        size_bytes=1,
        duration_s=9.0,
        bitrate_bps=None,
        start_timecode=None,
        video=None,
        other_videos=(),
        audio=(),
        data=(),
        truncated=False,
    )
    rendering = Rendering(
        source=source,
        clips=clips,
        video=None,
        audio=(),
        output_name="output.mp4",
        muxer="mp4",
        moov_first=True,
        duration_s=9.0,
    )
    return commands(FFMPEG, rendering)[0]


def test_every_input_of_the_encoder_is_opened_with_care() -> None:
    """ffmpeg's options of an input hold for that input only."""
    clip = Clip(start_s=Fraction(1), duration_s=Fraction(2))
    for count in range(4):
        argv = encoding(Path("/film.mp4"), *[clip] * count)
        inputs = "\n".join(argv).split("\n-i\n")[:-1]
        assert len(inputs) == max(1, count)
        for before in inputs:
            assert "-protocol_whitelist\nfile\n-format_whitelist\n" in before
            assert "-noautorotate" in before


def test_an_address_opens_by_its_own_protocol_alone() -> None:
    for address, protocols in (
        ("https://bucket.example/film?X-Amz-Signature=a", "https,tls,tcp"),
        ("http://127.0.0.1:1/film", "http,tcp"),
        ("/films/one.mp4", "file"),
        ("concat:a|b", "file"),
        ("-i", "file"),
    ):
        arguments = TOOL.reading(address)
        assert arguments[arguments.index("-protocol_whitelist") + 1] == protocols
        assert arguments[-1] == (address if "://" in address else f"file:{address}")


# Limits


def test_it_cannot_write_a_file(tmp_path: Path) -> None:
    target = tmp_path / "written.raw"
    with pytest.raises(ToolFailed) as failure:
        TOOL.run(
            ["-nostdin", "-f", "lavfi", "-i", "testsrc=d=1", "-f", "rawvideo", str(target)],
            timeout_s=30,
        )
    assert "File too large" in str(failure.value.completed.stderr_tail)
    assert target.stat().st_size == 0


@linux
def test_it_cannot_take_all_memory() -> None:
    small = Ffmpeg(FFMPEG, address_space_bytes=400 * 2**20)
    picture = ["-f", "lavfi", "-i", "color=s=16000x16000:d=1,format=rgba"]
    done = small.run(["-nostdin", *picture, "-f", "null", "-"], timeout_s=60)
    assert "Cannot allocate memory" in str(done.stderr_tail)  # and an exit code of 0, as so often


def test_it_cannot_use_the_processor_for_ever() -> None:
    busy = [sys.executable, "-c", "while True: pass"]
    process = confine.start(busy, limits=confine.Limits(cpu_s=1), env={})
    assert process.wait(timeout=60) < 0


def test_it_gets_no_input_no_environment_and_leaves_no_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret")
    told = "import os, resource, sys; print(sys.stdin.read(), sorted(os.environ), "
    told += "resource.getrlimit(resource.RLIMIT_CORE), os.getpgrp() == os.getpid())"
    process = confine.start(
        [sys.executable, "-I", "-c", told],
        limits=confine.Limits(),
        env={"A": "b"},
        stdout=subprocess.PIPE,
        text=True,
    )
    said = process.communicate(timeout=30)[0].strip()
    assert said.removeprefix("['A', 'LC_CTYPE']").removeprefix("['A']") == " (0, 0) True"


@linux
def test_it_dies_with_whoever_started_it(tmp_path: Path) -> None:
    parent = tmp_path / "parent.py"
    parent.write_text(
        "import os, signal, time\n"
        "from chalicelib.adapters import confine\n"
        "child = confine.start(['/bin/sleep', '60'], limits=confine.Limits(), env={})\n"
        "while open(f'/proc/{child.pid}/comm').read().strip() != 'sleep': time.sleep(0.01)\n"
        "print(child.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, parent], capture_output=True, text=True, env={"PYTHONPATH": str(root)}
    )
    assert_gone(int(done.stdout))


def assert_gone(pid: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return
        except psutil.NoSuchProcess:
            return
        time.sleep(0.02)
    raise AssertionError(f"process {pid} is still there")


def test_a_program_that_cannot_be_started_is_not_the_films_fault(tmp_path: Path) -> None:
    tool = tmp_path / "ffmpeg"
    tool.write_bytes(b"\x7fELF and no more")
    tool.chmod(0o755)
    with pytest.raises(ToolFailed, match="could not be started") as failure:
        Ffmpeg(str(tool)).run([], timeout_s=10)
    assert failure.value.completed.exit_code == -1


# The encoder of the stand-in


@pytest.mark.parametrize(
    ("says", "allowance"),
    [
        ("sleep 60", encode.Allowance(stall_s=0.3)),
        ("while :; do echo frame=1; echo progress=continue; sleep 0.02; done",
         encode.Allowance(stall_s=0.3)),
        ("n=0; while :; do n=$((n+1)); echo frame=$n; echo progress=continue; sleep 0.02; done",
         encode.Allowance(wall_s=0.6)),
    ],
    ids=["silent", "no further", "for ever"],
)  # fmt: skip
def test_an_encode_that_goes_nowhere_is_ended(
    says: str, allowance: encode.Allowance, tmp_path: Path
) -> None:
    argv = ("/bin/sh", "-c", f"export PATH=/bin:/usr/bin; {says}")
    with pytest.raises(encode.FfmpegTooSlow):
        encode.run(argv, work_dir=tmp_path, stop=encode.Stop(), allowance=allowance)
    assert not (tmp_path / "ffmpeg.pid").exists()


def test_an_encode_cannot_fill_the_disk(tmp_path: Path) -> None:
    argv = (FFMPEG, "-nostdin", "-y", "-f", "lavfi", "-i", "testsrc=d=60", "-f", "rawvideo", "out")
    with pytest.raises(encode.FfmpegFailed, match="File too large"):
        encode.run(
            argv,
            work_dir=tmp_path,
            stop=encode.Stop(),
            allowance=encode.Allowance(file_bytes=2**20),
        )
    assert (tmp_path / "out").stat().st_size <= 2**20


# The reader of the stand-in


def test_reading_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = tmp_path / "film.mp4"
    os.mkfifo(endless)
    monkeypatch.setattr(reading, "TIME_LIMIT_S", 0.5)
    before = readers()
    with pytest.raises(Unreadable, match="took too long"):
        reading.read(endless)
    for pid in readers() - before:
        assert_gone(pid)


def test_a_reader_that_crashes_takes_nothing_with_it(shop: Workshop, tmp_path: Path) -> None:
    endless, film = tmp_path / "endless.mp4", tmp_path / "film.mp4"
    os.mkfifo(endless)
    film.write_bytes(shop.sound("first.mp4"))
    assert reading.read(film).video
    before = readers()
    found: list[BaseException] = []

    def read() -> None:
        try:
            reading.read(endless)
        except Unreadable as refusal:
            found.append(refusal)

    thread = threading.Thread(target=read)
    thread.start()
    while not (new := readers() - before):
        time.sleep(0.01)
    psutil.Process(new.pop()).kill()
    thread.join(timeout=30)
    assert "ended its reader" in str(found)
    assert reading.read(film).video


def test_the_server_of_readers_comes_back(shop: Workshop, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(shop.sound("first.mp4"))
    first = reading.read(film)
    assert reading._server._process is not None
    reading._server._process.kill()
    assert reading.read(film) == first


def readers() -> set[int]:
    server = reading._server._process
    if server is None:
        return set()
    return {child.pid for child in psutil.Process(server.pid).children()}
