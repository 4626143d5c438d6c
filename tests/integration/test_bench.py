"""The benchmarks: what they time and count is what they say."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import imageio_ffmpeg
import pytest

from bench import copy, overhead, processes
from bench.copying.place import make_film, place
from bench.processes import Kind
from bench.replay import Commands, ReplayFailed, encode_command, measure_command, replay
from chalicelib.adapters.ffmpeg import Ffmpeg
from slimreel.paths import PROJECT_DIR
from tests.clips import camera_clip

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


@contextmanager
def running(*argv: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return camera_clip(tmp_path_factory.mktemp("bench") / "clip.mov", duration_s=1.0)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_measuring_a_file_differs_from_an_address_only_where_it_must(scheme: str) -> None:
    ffmpeg = Ffmpeg(FFMPEG, ca_file="/etc/ssl/cert.pem")
    on_address = [*ffmpeg.reading(f"{scheme}://s3/film", "-ss", "1"), "-f", "null", "-"]
    recorded = ["{result}" if part.startswith(scheme + ":") else part for part in on_address]
    on_file = [FFMPEG, *ffmpeg.reading("/films/b.mp4", "-ss", "1"), "-f", "null", "-"]
    assert measure_command(recorded, Path("/films/a.mov"), Path("/films/b.mp4")) == on_file


def test_encoding_again_reads_the_given_source() -> None:
    argv = ["ffmpeg", "-y", "-i", "file:/cloud/blob", "-c:v", "libx264", "file:output.mp4"]
    again = ["ffmpeg", "-y", "-i", "file:/films/a.mov", "-c:v", "libx264", "file:output.mp4"]
    assert encode_command(argv, Path("/films/a.mov")) == again


def test_a_command_that_fails_bare_is_no_figure(clip: Path) -> None:
    commands = Commands(encode=((FFMPEG, "-i", "source", "-c:v", "none", "out.mp4"),), measure=())
    with pytest.raises(ReplayFailed, match="Unknown encoder"):
        replay(commands, source=clip, result=clip)


def test_every_process_counts_for_what_it_is() -> None:
    before_s = processes.cpu_seconds()
    endless = ("-re", "-f", "lavfi", "-i", "testsrc", "-f", "null", "-")
    asleep = (sys.executable, "-c", "import time; time.sleep(60)")
    with running(FFMPEG, *endless) as encoder, running(*asleep):
        began_s = time.monotonic()
        times = processes.RunningTimes()
        with processes.repeating(times.look, every_s=0.05):
            time.sleep(0.5)
        took_s = time.monotonic() - began_s
        kinds = {process.pid: kind for process, kind in processes.family()}
        peaks = processes.Peaks()
        peaks.look()
        assert kinds[encoder.pid] is Kind.ENCODER
        assert {Kind.CLOUD, Kind.FUNCTIONS} <= set(kinds.values())
    assert 0.2 < times.seconds[Kind.ENCODER] <= took_s
    assert times.seconds[Kind.MEASURING] == 0.0
    whole = peaks.whole.pss_bytes
    assert peaks.whole.beside_encoder_bytes == whole[Kind.CLOUD] + whole[Kind.FUNCTIONS]
    assert 1e6 < whole[Kind.ENCODER] <= peaks.rss_bytes[Kind.ENCODER]
    assert processes.cpu_seconds() > before_s


def test_what_goes_wrong_while_watching_is_not_lost() -> None:
    def look() -> None:
        raise RuntimeError("cannot look")

    with pytest.raises(RuntimeError, match="cannot look"), processes.repeating(look, every_s=0.01):
        time.sleep(0.1)


def test_a_job_and_the_same_commands_bare(clip: Path, tmp_path: Path) -> None:
    piped = overhead.through_pipeline(clip, tmp_path / "result.mp4")
    passage, commands = piped.passage, piped.commands
    steps = passage.steps()
    assert [one.step for one in steps][:3] == ["notice", "register", "fetch"]
    assert sum(one.seconds for one in steps) == pytest.approx(passage.wall_s, abs=0.01)
    assert all(one.seconds >= 0 for one in steps)
    assert 0 < piped.ffmpeg_s["encode"] < passage.wall_s
    assert passage.cpu_s > 0
    assert any("ssim" in argument for argv in commands.measure for argument in argv)
    bare = replay(commands, source=clip, result=piped.result)
    run = overhead.Run(piped=piped, bare=bare)
    assert run.ratio == pytest.approx(passage.wall_s / (bare.encode_s + bare.measure_s))


def test_a_copy_is_compared_byte_by_byte(tmp_path: Path) -> None:
    with place(tmp_path, PROJECT_DIR) as where:
        film = make_film(where.folder, 40_000_000)
        ours = copy.copied(where, film)
        assert ours.invocations == 1
        assert 30e6 < ours.peak_bytes < copy.LIMIT_BYTES
        assert sum(length for _, length in where.sent()) == film.size_bytes
        other = make_film(where.folder, 20_000_000)
        with other.path.open("r+b") as file:
            file.write(b"!")
        with pytest.raises(copy.Broken):
            copy.copied(where, other)
