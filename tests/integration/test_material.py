"""Hard films, made here, through the plan, the encoder's stand-in, the measurement and the verdict.

docs/material.md lists what is decided for each kind and why.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chalicelib.adapters.ffmpeg import Ffmpeg
from chalicelib.domain.encoding import job_settings
from chalicelib.domain.measurement import Measurement, StreamTimes
from chalicelib.domain.media import MediaFacts, VideoTrack
from chalicelib.domain.plan import Plan, Route
from chalicelib.domain.planner import make_plan
from chalicelib.domain.verdict import Decision, Verdict, damage_problems, judge, next_plan
from chalicelib.measuring.measure import measure
from chalicelib.measuring.workbench import Clip
from slimreel import offline
from tests.clips import FFMPEG, ffmpeg
from tests.examples import a_preset, a_workflow

TOOL = Ffmpeg(FFMPEG)
#: Small, moving, a little noisy, and encoded at a waste.
PICTURE = "testsrc2=s={size}:r={rate}:d={seconds},noise=c0s=3:c0f=t+u:all_seed=7"
LAVISH = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "6", "-pix_fmt", "yuv420p")
LOSSLESS_X265 = "log-level=error:lossless=1"
BT2020 = "setparams=color_primaries=bt2020:colorspace=bt2020nc:range=tv:color_trc="
DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"


def film(
    path: Path,
    *options: str,
    filters: str = "null",
    size: str = "160x96",
    rate: str = "25",
    seconds: float = 0.6,
    sounds: Sequence[str] = (),
) -> Path:
    """A film of test pictures; `options` come last and win."""
    picture = PICTURE.format(size=size, rate=rate, seconds=seconds) + f",{filters}"
    inputs = ["-f", "lavfi", "-i", picture]
    for sound in sounds:
        inputs += ["-f", "lavfi", "-t", str(seconds), "-i", sound]
    maps = [item for number in range(1 + len(sounds)) for item in ("-map", str(number))]
    ffmpeg(*inputs, *maps, *LAVISH, *options, f"file:{path}")
    return path


def hdr(path: Path, transfer: str, *, static: bool = False, size: str = "160x96") -> Path:
    """Ten bits of HEVC, tagged as HDR; `static` adds a mastering display and light levels."""
    light = f":master-display={DISPLAY}:max-cll=1000,400" if static else ""
    return film(
        path, "-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le",
        "-x265-params", LOSSLESS_X265 + light, "-tag:v", "hvc1",
        filters=f"{BT2020}{transfer}", size=size,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Outcome:
    facts: MediaFacts
    plan: Plan
    result: Path
    measurement: Measurement
    verdict: Verdict

    @property
    def accepted(self) -> bool:
        return self.verdict.decision is Decision.ACCEPT

    @property
    def picture(self) -> VideoTrack:
        """Of the result, as the encoder's Probe sees it."""
        video = offline.facts_of(self.result).video
        assert video is not None
        return video

    @property
    def sounds(self) -> list[StreamTimes]:
        return [track for track in self.measurement.result_tracks if track.kind == "audio"]


def planned(path: Path, preset: str = "balanced", **changes: Any) -> Plan:
    return make_plan(offline.facts_of(path), a_preset(preset), a_workflow(**changes))


def kept(path: Path, preset: str = "balanced") -> str:
    plan = planned(path, preset)
    assert plan.route is Route.KEEP, plan
    return plan.reasons[0]


def compressed(path: Path, preset: str = "balanced", *, attempts: int = 3) -> Outcome:
    """As the pipeline does it: another attempt where the verdict asks for one."""
    facts = offline.facts_of(path)
    plan = make_plan(facts, a_preset(preset), a_workflow())
    assert plan.route is Route.ENCODE, plan.reasons
    for attempt in range(1, attempts + 1):
        result = encoded(path, plan, path.parent / f"{path.stem}-{preset}-{attempt}")
        found = measure(TOOL, source=clip(path), result=clip(result))
        assert isinstance(found, Measurement)
        verdict = judge(
            plan=plan,
            measurement=found,
            source_size_bytes=path.stat().st_size,
            result_size_bytes=result.stat().st_size,
            min_savings_percent=10,
            attempt=attempt,
            first_attempt=1,
            max_attempts=attempts,
            encoder_ssim_mean=reported(result),
        )
        if verdict.decision is not Decision.RETRY_HIGHER:
            break
        plan = next_plan(plan, found) or plan
    return Outcome(facts=facts, plan=plan, result=result, measurement=found, verdict=verdict)


def encoded(path: Path, plan: Plan, folder: Path) -> Path:
    settings = job_settings(plan, source_url="s3://files/in", destination_url="s3://files/result")
    offline.encode(path, settings, folder)
    return folder / "result.mp4"


def reported(result: Path) -> float:
    """The encoder's own mean."""
    table = result.with_name("result_SSIM.csv").read_text()
    return float(table.split("Average:")[1].split()[0])


def clip(path: Path) -> Clip:
    return Clip(url=str(path), size_bytes=path.stat().st_size)


# HDR


@pytest.mark.parametrize(("transfer", "kind"), [("smpte2084", "HDR10"), ("arib-std-b67", "HLG")])
def test_hdr_stays_hdr_in_hevc_and_is_left_alone_by_h264(
    tmp_path: Path, transfer: str, kind: str
) -> None:
    source = hdr(tmp_path / "hdr.mov", transfer, static=kind == "HDR10")
    for preset in ("balanced", "balanced-av1"):
        assert f"{kind} (high dynamic range)" in kept(source, preset)
    done = compressed(source, "balanced-hevc")
    assert done.accepted, done.verdict
    assert (done.picture.hdr, done.picture.bit_depth) == (kind, 10)
    video = done.facts.video
    assert video is not None and done.picture.light == video.light
    assert (video.light is not None and video.light.is_whole) is (kind == "HDR10")


@pytest.mark.parametrize(
    ("transfer", "static", "said"),
    [
        ("smpte2084", False, "HDR10 metadata (mastering display, light levels) is missing"),
        ("bt709", False, "tagged SDR"),
        ("arib-std-b67", False, "tagged HLG"),
    ],
)
def test_hdr_under_another_tag_is_never_published(
    tmp_path: Path, transfer: str, static: bool, said: str
) -> None:
    source = hdr(tmp_path / "hdr.mov", "smpte2084", static=True, size="64x64")
    wrong = hdr(tmp_path / "wrong.mov", transfer, static=static, size="64x64")
    found = measure(TOOL, source=clip(source), result=clip(wrong))
    assert isinstance(found, Measurement)
    assert any(said in problem for problem in damage_problems(found, planned(source)))


def test_static_metadata_that_only_the_job_knows_is_written(tmp_path: Path) -> None:
    """As from a container that has it beside a picture that has not."""
    source = hdr(tmp_path / "bare.mov", "smpte2084")
    told = offline.facts_of(hdr(tmp_path / "told.mov", "smpte2084", static=True))
    plan = make_plan(told, a_preset("balanced-hevc"), a_workflow())
    result = offline.facts_of(encoded(source, plan, tmp_path / "out")).video
    assert result is not None and told.video is not None
    assert result.light == told.video.light


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_hdr_becomes_sdr_where_the_preset_asks_for_it(tmp_path: Path, transfer: str) -> None:
    source = hdr(tmp_path / "hdr.mov", transfer, static=transfer == "smpte2084")
    done = compressed(source, "balanced-sdr")
    assert done.accepted, done.verdict
    assert (done.picture.hdr, done.picture.light, done.picture.bit_depth) == (None, None, 8)
    [colour] = [track.colour for track in done.measurement.result_tracks]
    assert colour is not None and colour.primaries == colour.transfer == colour.matrix == "bt709"


def test_dolby_vision_and_hdr10_plus_are_left_alone(tmp_path: Path) -> None:
    source = hdr(tmp_path / "hdr.mov", "smpte2084")
    dolby = tmp_path / "dolby.mov"
    dolby.write_bytes(source.read_bytes().replace(b"hvc1", b"dvh1"))
    assert "Dolby Vision" in kept(dolby, "balanced-hevc")
    assert "HDR10+" in kept(with_hdr10_plus(source, tmp_path / "plus.mp4"), "balanced-hevc")


def with_hdr10_plus(source: Path, path: Path) -> Path:
    """The same film with an SMPTE ST 2094-40 message before each picture's first slice."""
    raw = path.with_suffix(".hevc")
    ffmpeg("-i", str(source), "-c", "copy", "-bsf:v", "hevc_mp4toannexb", "-f", "hevc", str(raw))
    out = bytearray()
    for unit in raw.read_bytes().replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]:
        kind, is_first = unit[0] >> 1 & 63, len(unit) > 2 and unit[2] & 128
        if kind < 32 and is_first:
            out += b"\0\0\0\1" + hdr10_plus_message()
        out += b"\0\0\0\1" + unit
    raw.write_bytes(out)
    ffmpeg(
        "-f", "hevc", "-framerate", "25", "-i", str(raw), "-c", "copy", "-tag:v", "hvc1", str(path)
    )
    return path


def hdr10_plus_message() -> bytes:
    """One window, no curve. Source: SMPTE ST 2094-40, annex; ITU-T T.35 codes of Samsung."""
    fields = [(1, 2), (10_000, 27), (0, 1)]  # windows, target luminance, no actual peak
    fields += [(50_000, 17)] * 3 + [
        (20_000, 17),
        (0, 4),
        (0, 10),
    ]  # maxima, average, no percentiles
    fields += [(0, 1), (0, 1), (0, 1)]  # no peaks of the master, no curve, no saturation
    bits = "".join(f"{value:0{width}b}" for value, width in fields)
    bits += "0" * (-len(bits) % 8)
    body = struct.pack(">BHHBB", 0xB5, 0x003C, 0x0001, 4, 1)
    body += int(bits, 2).to_bytes(len(bits) // 8, "big")
    message = bytes([4, len(body)]) + body + b"\x80"
    for zeros in (b"\0\0\0", b"\0\0\1", b"\0\0\2", b"\0\0\3"):
        message = message.replace(zeros, zeros[:2] + b"\3" + zeros[2:])
    return bytes([39 << 1, 1]) + message


# colour


@pytest.mark.parametrize(
    ("preset", "depth"), [("balanced", 8), ("balanced-hevc", 10), ("balanced-av1", 10)]
)
def test_ten_bits_of_sdr_stay_where_the_codec_has_them(
    tmp_path: Path, preset: str, depth: int
) -> None:
    """ProRes of an editing suite, with the colours of television."""
    coded = ("-c:v", "prores_ks", "-profile:v", "3", "-pix_fmt", "yuv422p10le")
    tags = "setparams=color_primaries=bt709:colorspace=bt709:color_trc=bt709:range=tv"
    done = compressed(film(tmp_path / "edit.mov", *coded, filters=tags), preset)
    assert done.accepted, done.verdict
    assert done.picture.bit_depth == depth
    assert ("10-bit colour becomes 8-bit." in done.plan.losses) is (depth == 8)
    assert "4:2:2 colour sampling becomes 4:2:0." in done.plan.losses


# interlaced


def interlaced(path: Path, order: str, *, filters: str = "null") -> Path:
    """Fifty moments a second, woven into 25 pictures."""
    weave = f"{filters},interlace=scan={order}:lowpass=off"
    coded = ("-flags", "+ilme+ildct", "-x264-params", f"{order}=1")
    return film(path, *coded, filters=weave, rate="50")


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_interlaced_film_becomes_progressive(tmp_path: Path, order: str) -> None:
    source = interlaced(tmp_path / "tape.mov", order)
    done = compressed(source)
    assert done.accepted, done.verdict
    assert done.facts.video is not None and done.facts.video.interlaced
    assert not done.picture.interlaced and done.picture.frame_rate == 25.0
    [before, after] = [
        track
        for track in (*done.measurement.source_tracks, *done.measurement.result_tracks)
        if track.kind == "video"
    ]
    assert before.interlaced and not after.interlaced
    assert before.frames == after.frames


def test_telecined_film_comes_out_at_its_rate(tmp_path: Path) -> None:
    """MPEG-2 of a disc: 24 pictures a second spread over 60 half ones. Probe cannot tell it from
    video, so it is treated as such: nothing is lost, two pictures of five are interpolated."""
    spread = "telecine=first_field=top:pattern=23,setfield=tff"
    coded = ("-c:v", "mpeg2video", "-q:v", "1", "-flags", "+ilme+ildct")
    source = film(tmp_path / "disc.mpg", *coded, filters=spread, rate="24000/1001")
    done = compressed(source)
    assert done.accepted, done.verdict
    assert done.picture.frame_rate == pytest.approx(30000 / 1001)


def test_a_deinterlacer_leaves_progressive_pictures_alone(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", seconds=0.3)
    plan = planned(source)
    settings = job_settings(plan, source_url="s3://files/in", destination_url="s3://files/result")
    offline.encode(source, settings, tmp_path / "without")
    video = settings["OutputGroups"][0]["Outputs"][0]["VideoDescription"]
    video["VideoPreprocessors"]["Deinterlacer"] = {"Mode": "DEINTERLACE", "Control": "NORMAL"}
    offline.encode(source, settings, tmp_path / "with")
    without, with_it = (
        (tmp_path / name / "result.mp4").read_bytes() for name in ("without", "with")
    )
    assert without == with_it


# shape and time


def test_pixels_that_are_not_square_keep_the_shape_of_the_picture(tmp_path: Path) -> None:
    source = film(tmp_path / "wide.mp4", filters="setsar=2")
    done = compressed(source)
    assert done.accepted, done.verdict
    assert done.picture.pixel_aspect == "2:1"
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", "90", "-i", str(source), "-c", "copy", str(turned))
    done = compressed(turned)
    assert done.accepted, done.verdict
    assert (done.picture.width, done.picture.height) == (96, 160)
    assert done.picture.pixel_aspect == "1:2"


def test_a_phone_held_upright_whose_clock_jitters(tmp_path: Path) -> None:
    """Portrait, a rate that varies by a few ticks, and a picture missing here and there."""
    jitter = "settb=1/90000,setpts='N*3003+600*mod(N,3)-200',select='not(eq(mod(n,17),9))'"
    flat = film(tmp_path / "flat.mp4", "-fps_mode", "vfr", filters=jitter, rate="30", seconds=1.2)
    source = tmp_path / "phone.mp4"
    ffmpeg("-display_rotation", "-90", "-i", str(flat), "-c", "copy", str(source))
    done = compressed(source)
    assert done.accepted, done.verdict
    assert (done.picture.width, done.picture.height) == (96, 160)
    assert done.plan.frame_rate == "30/1"
    assert done.picture.frame_rate == 30.0
    assert done.picture.rotation_deg == 0


@pytest.mark.parametrize(("name", "said"), [("film.mp4", "varies"), ("film.mkv", "would be lost")])
def test_quick_moments_keep_their_pictures(tmp_path: Path, name: str, said: str) -> None:
    """Foreseen where the file has an index, and else found by the measurement."""
    bursts = "settb=1/90000,select='lt(t,0.3)+not(mod(n,10))'"
    vp9 = ("-c:v", "mpeg4", "-q:v", "1") if name.endswith("mkv") else ()
    source = film(tmp_path / name, "-fps_mode", "vfr", *vp9, filters=bursts, rate="30", seconds=1.3)
    done = compressed(source)
    assert done.accepted, done.verdict
    assert done.plan.frame_rate == "30/1" and any(said in reason for reason in done.plan.reasons)
    assert done.picture.frame_rate == 30.0


def test_a_mirrored_picture_is_left_alone(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", seconds=0.2)
    mirrored = tmp_path / "selfie.mp4"
    ffmpeg("-display_hflip", "-i", str(source), "-c", "copy", str(mirrored))
    assert "mirrored" in kept(mirrored)


@pytest.mark.parametrize(
    ("size", "rate", "seconds", "shown"),
    [
        ("161x121", "25", 0.4, (160, 120)),
        ("160x96", "120", 0.4, (160, 96)),
        ("160x96", "25", 0.04, (160, 96)),  # a single picture
        ("3840x2160", "25", 0.04, (3840, 2160)),
    ],
)
def test_odd_sizes_high_rates_4k_and_a_single_picture(
    tmp_path: Path, size: str, rate: str, seconds: float, shown: tuple[int, int]
) -> None:
    coded = ("-pix_fmt", "yuv444p", "-qp", "0") if size == "161x121" else ()
    done = compressed(film(tmp_path / "film.mov", *coded, size=size, rate=rate, seconds=seconds))
    assert done.accepted, done.verdict
    assert (done.picture.width, done.picture.height) == shown
    assert done.picture.frame_rate == float(rate)
    assert done.sounds == []


def test_grain_is_kept_not_smoothed_away(tmp_path: Path) -> None:
    """The noise is as strong in the result, to a tenth; a denoiser would halve it."""
    source = film(tmp_path / "grain.mp4", filters="noise=alls=9:allf=t,format=yuv420p")
    done = compressed(source)
    assert done.accepted, done.verdict
    assert detail(done.result) > 0.9 * detail(source)


def detail(path: Path) -> float:
    """How much a picture differs from itself blurred, on average."""
    graph = "split[a][b];[b]gblur=sigma=1.5[c];[a][c]blend=all_mode=difference,signalstats"
    printed = ffmpeg(
        "-i",
        str(path),
        "-vf",
        f"{graph},metadata=print:key=lavfi.signalstats.YAVG",
        "-f",
        "null",
        "-",
    )
    values = [float(part.split()[0]) for part in printed.split("YAVG=")[1:]]
    return sum(values) / len(values)


def test_a_recording_of_a_screen_keeps_its_letters(tmp_path: Path) -> None:
    """Still, sharp and with full colour, which 4:2:0 halves; that is said."""
    letters = "drawgrid=w=8:h=6:t=1:c=red,format=yuv444p"
    source = tmp_path / "screen.mp4"
    ffmpeg("-f", "lavfi", "-i", f"smptehdbars=s=320x180:r=10:d=1,{letters}", *LAVISH[:4],
           "-qp", "0", "-pix_fmt", "yuv444p", "-g", "1", str(source))  # fmt: skip
    done = compressed(source)
    assert done.accepted, done.verdict
    assert done.plan.losses == ("4:4:4 colour sampling becomes 4:2:0.",)


# sound


def test_every_track_of_sound_stays_a_track_of_its_own(tmp_path: Path) -> None:
    """Microphones of an interview as mono tracks, and a mix in 5.1."""
    mono = [f"sine=f={hz}:r=48000" for hz in (220, 330, 440)]
    surround = "sine=f=550:r=48000,pan=5.1|FL=c0|FR=0.5*c0|FC=c0|LFE=0.1*c0|BL=c0|BR=c0"
    codes = ("eng", "spa", "fra", "eng")
    tags = [
        part for n, code in enumerate(codes) for part in (f"-metadata:s:a:{n}", f"language={code}")
    ]
    source = film(tmp_path / "talk.mov", "-c:a", "pcm_s16le", *tags, sounds=(*mono, surround))
    done = compressed(source)
    assert done.accepted, done.verdict
    assert [track.channels for track in done.sounds] == [1, 1, 1, 6]
    assert [track.language for track in done.sounds] == list(codes)


def test_more_channels_than_aac_has_pass_or_keep_the_original(tmp_path: Path) -> None:
    four = "sine=f=440:r=48000,pan=4.0|FL=c0|FR=c0|FC=c0|BC=c0"
    done = compressed(film(tmp_path / "dolby.mp4", "-c:a", "eac3", sounds=(four,)))
    assert done.accepted, done.verdict
    assert [(track.codec, track.channels) for track in done.sounds] == [("eac3", 4)]
    eight = "sine=f=440:r=48000,pan=7.1|FL=c0|FR=c0|FC=c0|LFE=c0|BL=c0|BR=c0|SL=c0|SR=c0"
    source = film(tmp_path / "cinema.mov", "-c:a", "pcm_s16le", sounds=(eight,), seconds=0.2)
    assert "8 channels" in kept(source)


# tracks beside


def test_a_second_picture_keeps_the_original_and_a_cover_does_not(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", seconds=0.2)
    double = tmp_path / "double.mp4"
    ffmpeg("-i", str(source), "-map", "0:v", "-map", "0:v", "-c", "copy", str(double))
    assert "2 video tracks" in kept(double)
    cover, covered = tmp_path / "cover.png", tmp_path / "covered.mp4"
    ffmpeg("-i", str(source), "-frames:v", "1", str(cover))
    ffmpeg("-i", str(source), "-i", str(cover), "-map", "0", "-map", "1", "-c", "copy",
           "-disposition:v:1", "attached_pic", str(covered))  # fmt: skip
    assert planned(covered).route is Route.ENCODE


def subtitled(path: Path, codec: str) -> Path:
    """A film with subtitles and chapters, in MOV a time code, and in Matroska a font and a tag."""
    words = path.with_suffix(".srt")
    words.write_text("1\n00:00:00,000 --> 00:00:00,200\nHello\n")
    marks = path.with_suffix(".txt")
    marks.write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/10\nSTART=0\nEND=2\ntitle=One\n")
    source = film(path.with_stem("plain"), seconds=0.3)
    code = ("-timecode", "10:00:00:00") if path.suffix == ".mov" else ()
    font = ("-attach", str(words), "-metadata:s:t:0", "mimetype=font/ttf")
    more = (*font, "-metadata", "SHOT_ID=B-17") if path.suffix == ".mkv" else code
    ffmpeg("-i", str(source), "-i", str(words), "-i", str(marks), "-map", "0", "-map", "1",
           "-map_chapters", "2", "-c", "copy", "-c:s", codec, "-metadata:s:s:0", "language=spa",
           *more, str(path))  # fmt: skip
    return path


@pytest.mark.parametrize(
    ("name", "codec", "lost"),
    [
        ("film.mp4", "mov_text", {"Subtitle track (spa)", "Chapter track (eng)"}),
        (
            "film.mov",
            "mov_text",
            {"Text track (spa)", "Chapter track (eng)", "Time code track (eng)"},
        ),
        (
            "film.mkv",
            "srt",
            {
                "Subtitle track (spa)",
                "Chapters",
                "Attached font",
                "Tag: SHOT_ID.",
            },
        ),
    ],
)
def test_what_mp4_does_not_carry_is_listed_and_can_keep_the_original(
    tmp_path: Path, name: str, codec: str, lost: set[str]
) -> None:
    source = subtitled(tmp_path / name, codec)
    losses = planned(source).losses
    assert {loss.split(", as")[0] for loss in losses} == lost
    reason = kept(source, "master")
    assert "keeps originals rather than this" in reason
