"""`slimreel plan`: what it says of files and folders before anything is done to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.plan import Route
from slimreel.__main__ import main
from slimreel.plan import Dry, as_json, of_drive, of_file, of_folder
from tests.clips import camera_clip, ffmpeg
from tests.examples import a_workflow
from tests.fakes import INBOX, Drive


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Just long enough for samples, and as quick to encode as can be."""
    path = tmp_path_factory.mktemp("films") / "long.mp4"
    picture = "testsrc2=s=128x72:r=5:d=21,noise=alls=3:allf=t,format=yuv420p"
    ffmpeg("-f", "lavfi", "-i", picture, "-preset", "ultrafast", "-crf", "8", f"file:{path}")
    return path


def the_only(printed: str) -> dict[str, Any]:
    [video] = json.loads(printed)["videos"]
    return dict(video)


def test_samples_tell_level_size_and_likeness(long_film: Path) -> None:
    before = long_film.read_bytes()
    dry = of_file(long_film, "balanced", a_workflow())
    assert dry.sampled and dry.plan is not None and dry.plan.search is not None
    assert dry.plan.route is Route.ENCODE
    assert dry.predicted_bytes == dry.plan.search.predicted_bytes
    assert 0 < dry.saved_bytes < dry.size_bytes
    assert dry.plan.cost is not None and dry.cost_usd == pytest.approx(dry.plan.cost.usd)
    assert long_film.read_bytes() == before


def test_a_vmaf_target_is_searched_by_vmaf(long_film: Path) -> None:
    dry = of_file(long_film, "balanced-vmaf", a_workflow())
    assert dry.plan is not None and dry.plan.search is not None, dry.problem
    search = dry.plan.search
    assert (search.metric, dry.plan.metric) == ("VMAF", "VMAF")
    low, high = search.points
    assert 20 < low.mean < high.mean <= 100
    assert dry.plan.route is not Route.ENCODE or (search.predicted_mean or 0) >= 90
    assert "VMAF" in dry.plan.reasons[0]


def test_the_command_prints_json_or_a_table(
    long_film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(long_film), "--quick", "--json"]) == 0
    video = the_only(capsys.readouterr().out)
    assert (video["name"], video["sampled"]) == ("long.mp4", False)
    assert video["plan"]["route"] == "search"
    assert main(["plan", str(long_film), "--quick"]) == 0
    printed = capsys.readouterr().out
    assert "long.mp4" in printed and "~ guessed from ordinary films" in printed


def test_what_would_be_lost_is_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    extra = ("-pix_fmt", "yuv422p10le", "-c:a", "pcm_s16le", "-timecode", "10:00:00:00")
    clip = camera_clip(tmp_path / "clip.mov", size="160x90", duration_s=0.5, extra=extra)
    assert main(["plan", str(clip)]) == 0
    printed = capsys.readouterr().out
    for loss in ("10-bit colour becomes 8-bit", "PCM becomes AAC", "Time code track"):
        assert loss in printed
    assert main(["plan", str(clip), "--preset", "master"]) == 0
    assert "keep the original: The preset “master” keeps originals" in capsys.readouterr().out


def test_what_is_kept_or_unreadable_says_why(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("no film")
    dry = of_file(text, "balanced", a_workflow())
    assert dry.plan is None and dry.problem == "The file is not a video we can read."
    clip = camera_clip(tmp_path / "clip.mp4", size="160x90")
    small = of_file(clip, "balanced", a_workflow(compress_above_bytes=10**9))
    assert small.plan is not None and small.plan.route is Route.KEEP
    assert (small.predicted_bytes, small.cost_usd) == (clip.stat().st_size, 0.0)


def test_a_folder_is_totalled_with_the_largest_savings_first() -> None:
    drive = Drive()
    facts: dict[str, Any] = {"video_duration_s": 600.0, "video_width": 1920, "video_height": 1080}
    drive.add("small.mp4", b"", **facts, size_bytes=10**8)
    drive.add("large.mov", b"", **facts, size_bytes=10**10)
    drive.add("new.mov", b"", size_bytes=10**9)
    drive.add("notes.txt", b"", mime_type="text/plain", size_bytes=5)
    found = of_folder(drive, INBOX, "balanced", a_workflow())  # type: ignore[arg-type]
    by_name = {dry.name: dry for dry in found}
    assert set(by_name) == {"small.mp4", "large.mov", "new.mov"}
    assert by_name["large.mov"].saved_bytes > by_name["small.mp4"].saved_bytes > 0
    assert by_name["new.mov"].problem == "Google Drive has not looked into this video yet."
    total = json.loads(as_json(found))["total"]
    assert total["videos"] == 3
    assert total["saved_bytes"] == sum(dry.saved_bytes for dry in found)
    # 10 minutes of HD, and two outputs of 44 s of samples
    assert by_name["large.mov"].cost_usd == pytest.approx((10 + 2 * 44 / 60) * 0.015, abs=1e-4)


def test_the_resolution_that_drive_tells_counts() -> None:
    drive = Drive()
    sides = {"sd": (640, 360), "uhd": (3840, 2160)}
    for name, (width, height) in sides.items():
        drive.add(
            name, b"", size_bytes=10**10, video_duration_s=600.0,
            video_width=width, video_height=height,
        )  # fmt: skip
    sd, uhd = (of_drive(file, "balanced", a_workflow()) for file in drive.files.values())
    assert uhd.cost_usd == pytest.approx(4 * sd.cost_usd)
    assert (uhd.predicted_bytes or 0) > 5 * (sd.predicted_bytes or 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan"], "Give the paths of videos"),
        (["plan", "no.mp4"], "There is no file no.mp4"),
        (["plan", "no.mp4", "--folder", "x"], "Give the paths of videos"),
        (["plan", "--folder", "x"], "--credentials"),
    ],
)
def test_what_cannot_be_planned_is_said(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    assert main(arguments) == 2
    assert said in capsys.readouterr().out


def test_an_unknown_preset_is_named_with_those_there_are(
    long_film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(long_film), "--preset", "tiny"]) == 2
    assert "balanced+" in capsys.readouterr().out


def test_a_video_without_a_figure_is_still_listed() -> None:
    assert the_only(as_json([Dry(name="a", size_bytes=1, problem="why")]))["problem"] == "why"
