"""The plan: what will be done with a video, decided before any money is spent, and why.

`make_plan` is a pure function from facts and settings to a value that explains itself; the
encoder settings, the record, the email and a dry run all come from that one value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from chalicelib.domain import dial
from chalicelib.domain.media import AudioTrack, MediaFacts, VideoTrack
from chalicelib.domain.mp4 import MARK
from chalicelib.domain.preset import Preset
from chalicelib.domain.search import Search, Target, new_search
from chalicelib.domain.text import human_size, rate_words
from chalicelib.domain.workflow import Workflow

#: Source: https://docs.aws.amazon.com/mediaconvert/latest/ug/supported-output-resolution-maximums-by-codec.html
MAX_LONG_SIDE_PX, MAX_SHORT_SIDE_PX = 4096, 2160
MIN_SIDE_PX = 32
#: What `MaxBitrate` takes.
#: Source: https://docs.aws.amazon.com/mediaconvert/latest/apireference/jobs.html (H264Settings)
MIN_BITRATE_BPS, MAX_BITRATE_BPS = 1_000, 1_152_000_000
#: The short side is never made smaller than this.
SHORT_SIDE_FLOOR_PX = 720
#: Below this many bits per pixel and frame a re-encode cannot save anything worth having: an
#: already starved H.264 stream of 1080p30 at this rate has 0.6 Mbit/s. (QVBR's lowest level takes
#: 0.0116 on ordinary films, docs/mediaconvert-stand-in.md.)
EFFICIENT_BITS_PER_PIXEL = 0.01
#: How many of H.264's bits a codec needs for the same picture, roughly.
#: Source: https://www.itu.int/en/ITU-T/about/groups/Documents/HEVC.pdf is the claim of a half;
#: encoders as sold reach two thirds (docs/quality.md has x265's and SVT-AV1's on our clips).
CODEC_BITS = {"HEVC": 0.65, "H_265": 0.65, "VP9": 0.65, "AV1": 0.5}
#: Below this many bits per pixel and frame not even a still picture keeps its looks.
LEAST_BITS_PER_PIXEL = 0.002
#: Of a size that may not be passed, the share that is aimed at.
CAP_AIM = 0.98
#: What a passed-through track of unknown bitrate is taken to have.
USUAL_SOUND_BPS = 192_000
#: Tracks that MP4 can carry over untouched.
#: Source: AudioCodec PASSTHROUGH in
#: https://docs.aws.amazon.com/mediaconvert/latest/apireference/jobs.html
PASSTHROUGH_CODECS = ("AAC",)
#: channels: (coding mode, bitrate). Source: the AAC table of
#: https://docs.aws.amazon.com/mediaconvert/latest/ug/aac-support.html; the rates are generous ones.
AAC_MODES = {
    1: ("CODING_MODE_1_0", 128_000),
    2: ("CODING_MODE_2_0", 256_000),
    6: ("CODING_MODE_5_1", 512_000),
}
AAC_RATES_HZ = (44_100, 48_000)
#: They may be written as a stream, like those of browsers and broadcasts: without their length.
UNTIMED_CONTAINERS = ("matroska", "webm", "mpegts", "mpegps")
#: Where the encoder reads how to turn the picture, and colour samplings it can turn.
#: Source: https://docs.aws.amazon.com/mediaconvert/latest/ug/auto-rotate.html
TURNING_CONTAINERS = ("mp4", "quicktime")
UNTURNABLE_CHROMA = "4:4:4"


CODEC_NAMES = {"H_264": "H.264", "H_265": "HEVC", "AV1": "AV1"}


class Route(StrEnum):
    #: Encode samples first, to find the setting.
    SEARCH = "search"
    ENCODE = "encode"
    KEEP = "keep"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioPlan:
    """What happens to one audio track. A bitrate means AAC at that rate, None means untouched."""

    track: int
    language: str | None = None
    coding_mode: str | None = None
    bitrate_bps: int | None = None
    sample_rate_hz: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """An estimate in US dollars, from a dated price table.

    Attributes:
        search_usd, encode_usd: of all samples; of one encode of the whole film.
        months: until the storage that is saved has paid for both; None where nobody can tell yet.
    """

    tier: str
    search_usd: float
    encode_usd: float
    months: float | None = None

    @property
    def usd(self) -> float:
        return self.search_usd + self.encode_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be done and why. `reasons` are sentences, the most important first.

    `bitrate_ceiling_bps` bounds `max_bitrate_bps` in every further attempt: what the source has,
    or a cap that the preset fixes. `frame_rate` ("60/1") is set where the encoder's own choice for
    a rate that varies lost pictures. `max_average_bps` bounds the picture's average bitrate where
    the workflow bounds the file. `then` is what the next attempt aims for where the check fails;
    `best_effort` says that the better of the attempts is published even so.
    """

    route: Route
    preset: str
    reasons: tuple[str, ...]
    losses: tuple[str, ...] = ()
    codec: str = "H_264"
    qvbr_level: float | None = None
    max_bitrate_bps: int | None = None
    bitrate_ceiling_bps: int | None = None
    max_average_bps: int | None = None
    tuning: str | None = None
    width: int | None = None
    height: int | None = None
    scaled: bool = False
    ssim_floor: float | None = None
    ssim_worst_floor: float | None = None
    metric: str = "SSIM"
    vmaf_floor: float | None = None
    vmaf_worst_floor: float | None = None
    then: Target | None = None
    best_effort: bool = False
    audio: tuple[AudioPlan, ...] = ()
    rotate: bool = False
    frame_rate: str | None = None
    search: Search | None = None
    cost: Cost | None = None

    @property
    def professional_tier(self) -> bool:
        """Source: MULTI_PASS_HQ is billed as professional (H264Settings in the API reference), and
        so are the codecs that the basic tier does not list.
        """
        return self.tuning == "MULTI_PASS_HQ" or self.codec != "H_264"

    @property
    def target(self) -> Target:
        """What the search aims at, in `metric`; the floors of the other metric are checks only."""
        if self.metric == "VMAF":
            return Target(metric="VMAF", mean=self.vmaf_floor or 0.0, worst=self.vmaf_worst_floor)
        return Target(metric="SSIM", mean=self.ssim_floor or 0.0, worst=self.ssim_worst_floor)


def make_plan(facts: MediaFacts, preset: Preset, workflow: Workflow) -> Plan:
    """Decide what to do with a source."""
    video = facts.video
    if refusal := _refusal(facts):
        return Plan(route=Route.REJECT, preset=preset.name, reasons=(refusal,))
    assert video is not None
    if reason := _reason_to_keep(facts, video, preset, workflow):
        return Plan(route=Route.KEEP, preset=preset.name, reasons=(reason,))
    width, height = output_size(video, preset)
    source_bps = _source_bps(facts, video)
    cap_bps = preset_cap_bps(video, preset, width, height)
    max_bitrate = min(cap_bps, source_bps or cap_bps)
    plan = Plan(
        route=Route.ENCODE,
        preset=preset.name,
        reasons=tuple(_why(video, preset, width, height, max_bitrate)),
        losses=(*_picture_losses(video), *_sound_losses(facts), *_other_losses(facts)),
        codec=preset.codec,
        qvbr_level=preset.qvbr_level,
        max_bitrate_bps=max_bitrate,
        bitrate_ceiling_bps=max_bitrate if preset.max_bitrate_fixed else source_bps,
        tuning=preset.tuning or _cheapest_tuning(preset.codec),
        width=width,
        height=height,
        scaled=(width, height) != (video.display_width, video.display_height),
        ssim_floor=preset.ssim_floor,
        ssim_worst_floor=preset.ssim_worst_floor,
        metric=preset.metric,
        vmaf_floor=preset.vmaf_floor,
        vmaf_worst_floor=preset.vmaf_worst_floor,
        then=preset.then,
        audio=tuple(_audio_plan(track) for track in facts.audio),
        rotate=video.rotation_deg != 0,
    )
    return _within(_with_search(plan, facts, preset), facts, workflow)


def _cheapest_tuning(codec: str) -> str | None:
    """Single pass is billed as basic. AV1 has no such setting (Av1Settings)."""
    return None if codec == "AV1" else "SINGLE_PASS_HQ"


def _with_search(plan: Plan, facts: MediaFacts, preset: Preset) -> Plan:
    duration_s = length_s(facts)
    if not preset.search or duration_s is None:
        return plan
    search = new_search(preset.target, duration_s, facts.activity)
    if search is None:
        return plan
    levels = " and ".join(dial.label(level) for level in search.levels)
    sampled_s = sum(sample.length_s for sample in search.samples)
    how = (
        f"{len(search.samples)} samples, {sampled_s:g} s together, are encoded at levels {levels} "
        "first, to find the lowest that looks good enough."
    )
    return replace(
        plan, route=Route.SEARCH, search=search, reasons=(plan.reasons[0], how, *plan.reasons[1:])
    )


def _within(plan: Plan, facts: MediaFacts, workflow: Workflow) -> Plan:
    """The plan under the workflow's limit of size, where arithmetic alone says something of it.

    What a search finds out is decided after it.
    """
    limit = workflow.max_output_bytes
    room_bps = picture_room_bps(plan, facts, limit)
    if limit is None or room_bps is None:
        return plan
    if room_bps < least_bps(plan, facts):
        return cannot_fit(plan, facts, limit)
    can_pass = facts.size_bytes > limit and room_bps < (plan.max_bitrate_bps or 0)
    if plan.route is Route.SEARCH or not can_pass:
        return plan
    return limited(plan, room_bps, limit)


def limited(plan: Plan, room_bps: float, limit_bytes: int) -> Plan:
    """The plan with an average bitrate that keeps the file within a size.

    Only two passes can promise an average.
    Source: MaxAverageBitrate in H264QvbrSettings; AV1 has none, so its cap is lowered instead.
    """
    average = max(MIN_BITRATE_BPS, int(room_bps))
    why = f"On average at most {rate_words(average)}, so that it fits in {human_size(limit_bytes)}."
    reasons = (*plan.reasons, why)
    if plan.codec == "AV1":
        return replace(plan, max_bitrate_bps=average, bitrate_ceiling_bps=average, reasons=reasons)
    cap = max(plan.max_bitrate_bps or average, average)
    return replace(
        plan,
        max_average_bps=average,
        max_bitrate_bps=cap,
        tuning="MULTI_PASS_HQ",
        reasons=reasons,
    )


def picture_room_bps(plan: Plan, facts: MediaFacts, limit_bytes: int | None) -> float | None:
    """What a limit of size leaves for the picture; None where there is no limit or no length."""
    duration_s = length_s(facts)
    if limit_bytes is None or duration_s is None:
        return None
    return CAP_AIM * limit_bytes * 8 / duration_s - sound_bps(plan, facts)


def sound_bps(plan: Plan, facts: MediaFacts) -> float:
    """Of all audio tracks of the result."""
    known = {track.number: track.bitrate_bps for track in facts.audio}
    return float(sum(a.bitrate_bps or known.get(a.track) or USUAL_SOUND_BPS for a in plan.audio))


def least_bps(plan: Plan, facts: MediaFacts) -> float:
    """The picture's bitrate below which no encode is tried, at 720 lines or what the source has."""
    assert plan.width and plan.height and facts.video
    shrink = min(1.0, SHORT_SIDE_FLOOR_PX / min(plan.width, plan.height))
    pixels = plan.width * plan.height * shrink**2
    return LEAST_BITS_PER_PIXEL * pixels * (facts.video.frame_rate or 30)


def cannot_fit(plan: Plan, facts: MediaFacts, limit_bytes: int, needed: int | None = None) -> Plan:
    """The plan for a film that no setting brings under the workflow's limit of size."""
    lines = min(SHORT_SIDE_FLOOR_PX, plan.width or 0, plan.height or 0)
    about = f" It needs about {human_size(needed)}." if needed else ""
    reason = (
        f"The video cannot be brought under {human_size(limit_bytes)}, not even at {lines} lines "
        f"and the lowest quality worth having.{about}"
    )
    fits = facts.size_bytes <= limit_bytes
    route = Route.KEEP if fits else Route.REJECT
    what = "" if fits else " Cut it into parts, or raise the workflow's limit."
    return Plan(route=route, preset=plan.preset, reasons=(reason + what,), search=plan.search)


def output_size(video: VideoTrack, preset: Preset) -> tuple[int, int]:
    """The picture's size in the result: never larger than the source, always even.

    The short side stays at 720 or more, unless the source is smaller.
    """
    width, height = video.display_width, video.display_height
    factor = _encoder_factor(width, height)
    if preset.max_short_side_px:
        floor_px = max(preset.max_short_side_px, SHORT_SIDE_FLOOR_PX)
        factor = min(factor, floor_px / min(width, height))
    return _even(width * factor), _even(height * factor)


def _encoder_factor(width: int, height: int) -> float:
    """By how much the picture must shrink for the encoder."""
    long, short = max(width, height), min(width, height)
    return min(1.0, MAX_LONG_SIDE_PX / long, MAX_SHORT_SIDE_PX / short)


def _even(pixels: float) -> int:
    return max(2, round(pixels) // 2 * 2)


def _refusal(facts: MediaFacts) -> str | None:
    video = facts.video
    if video is None:
        return "There is no picture in this file: it holds sound only, or nothing we can read."
    if facts.container in ("", "unknown") and video.codec == "UNKNOWN":
        return "The file is not a video we can read."
    if video.width <= 0 or video.height <= 0:
        return "The video does not say how large its picture is; it is damaged or incomplete."
    if _duration_s(facts, video) is None and facts.container not in UNTIMED_CONTAINERS:
        return "The video has no length: it holds no pictures, or its index is missing."
    return None


def _reason_to_keep(
    facts: MediaFacts, video: VideoTrack, preset: Preset, workflow: Workflow
) -> str | None:
    if facts.writer is not None and facts.writer.startswith(MARK):
        return "Slimreel has compressed this file before; doing it twice would only cost quality."
    if facts.size_bytes < workflow.compress_above_bytes:
        return (
            f"Smaller than {human_size(workflow.compress_above_bytes)}, the size above which "
            "this workflow compresses."
        )
    if min(video.width, video.height) < MIN_SIDE_PX:
        return f"The picture is {video.width}x{video.height}; the encoder needs 32x32 or more."
    if _would_be_too_low(video):
        return (
            f"The picture is {video.width}x{video.height}; shrunk to the {MAX_LONG_SIDE_PX} pixels "
            "the encoder allows, it would lose too much detail."
        )
    if video.hdr:
        return f"The video is {video.hdr} (high dynamic range), which 8-bit H.264 would wash out."
    if video.interlaced:
        return "The video is interlaced; compressing it would change how motion looks."
    if video.rotation_deg and not _can_be_turned(facts, video):
        return (
            f"The video is to be turned by {video.rotation_deg}° when it plays, which the encoder "
            "cannot do with this kind of file; it would come out the wrong way up."
        )
    if facts.video_tracks > 1:
        return f"The file holds {facts.video_tracks} video tracks and only one would survive."
    for track in facts.audio:
        if track.codec in PASSTHROUGH_CODECS or track.channels in AAC_MODES:
            continue
        if not track.channels:
            return f"Audio track {track.number} is of a kind we cannot read, so it would be lost."
        return (
            f"Audio track {track.number} has {track.channels} channels, which AAC in MP4 cannot "
            "keep as they are."
        )
    bits, rate = _bits_per_pixel(facts, video), _source_bps(facts, video)
    starved = bits is not None and bits < _efficient_bits(video.codec, preset.codec)
    if starved or (rate is not None and rate < MIN_BITRATE_BPS):
        return "The video is already compressed as far as it goes; another pass would not pay."
    return None


def _efficient_bits(codec: str, result_codec: str) -> float:
    """Bits per pixel of a source that a result cannot undercut.

    What a better codec has saved, a result in H.264 would have to spend again.
    """
    source, result = CODEC_BITS.get(codec, 1.0), CODEC_BITS.get(result_codec, 1.0)
    return EFFICIENT_BITS_PER_PIXEL * result / min(source, 1.0)


def _would_be_too_low(video: VideoTrack) -> bool:
    """Whether fitting its long side would push its short side below the floor."""
    short, long = sorted((video.width, video.height))
    return (
        long > MAX_LONG_SIDE_PX
        and short * MAX_LONG_SIDE_PX < min(short, SHORT_SIDE_FLOOR_PX) * long
    )


def _can_be_turned(facts: MediaFacts, video: VideoTrack) -> bool:
    return (
        video.rotation_deg in (90, 180, 270)
        and facts.container in TURNING_CONTAINERS
        and video.chroma != UNTURNABLE_CHROMA
    )


def length_s(facts: MediaFacts) -> float | None:
    """Of the picture; None where nobody knows."""
    return _duration_s(facts, facts.video) if facts.video else facts.duration_s


def _duration_s(facts: MediaFacts, video: VideoTrack) -> float | None:
    return video.duration_s or facts.duration_s


def _bits_per_pixel(facts: MediaFacts, video: VideoTrack) -> float | None:
    """None where nobody knows how long the film is."""
    duration_s = _duration_s(facts, video)
    if duration_s is None:
        return None
    pixel_rate = video.width * video.height * (video.frame_rate or 30)
    return facts.size_bytes * 8 / duration_s / pixel_rate


def _source_bps(facts: MediaFacts, video: VideoTrack) -> int | None:
    """None where nobody knows."""
    duration_s = _duration_s(facts, video)
    known_bps = video.bitrate_bps or (facts.size_bytes * 8 / duration_s if duration_s else None)
    return None if known_bps is None else int(min(known_bps, MAX_BITRATE_BPS))


def preset_cap_bps(video: VideoTrack, preset: Preset, width: int, height: int) -> int:
    """The preset's cap for this picture size and frame rate.

    Source: bitrate grows with about the 0.75th power of the pixel rate at equal quality
    (Ben Waggoner's rule of thumb, "Compression for Great Video and Audio").
    """
    if preset.max_bitrate_fixed:
        return preset.max_bitrate_1080p30_bps
    pixel_rate = width * height * (video.frame_rate or 30)
    cap = preset.max_bitrate_1080p30_bps * (pixel_rate / (1920 * 1080 * 30)) ** 0.75
    return int(max(100_000, cap))


def _audio_plan(track: AudioTrack) -> AudioPlan:
    if track.codec in PASSTHROUGH_CODECS:
        return AudioPlan(track=track.number, language=track.language)
    mode, bitrate_bps = AAC_MODES[track.channels or 2]
    rate_hz = track.sample_rate_hz if track.sample_rate_hz in AAC_RATES_HZ else 48_000
    return AudioPlan(
        track=track.number,
        language=track.language,
        coding_mode=mode,
        bitrate_bps=bitrate_bps,
        sample_rate_hz=rate_hz,
    )


def _why(
    video: VideoTrack, preset: Preset, width: int, height: int, max_bitrate_bps: int
) -> Iterator[str]:
    level = dial.label(preset.qvbr_level)
    yield (
        f"{CODEC_NAMES[preset.codec]} at QVBR level {level}, preset “{preset.name}”: {preset.about}"
    )
    if max_bitrate_bps < preset_cap_bps(video, preset, width, height):
        yield f"At most {rate_words(max_bitrate_bps)}, which is what the original has."
    elif preset.max_bitrate_fixed:
        yield f"At most {rate_words(max_bitrate_bps)}, as the preset says."
    else:
        yield f"At most {rate_words(max_bitrate_bps)}, scaled to picture size and frame rate."
    if video.rotation_deg:
        yield f"Filmed turned by {video.rotation_deg}°, so the picture is turned upright."
    if (width, height) == (video.display_width, video.display_height):
        yield f"The picture stays {width}x{height}; the frame rate follows the original."
    else:
        yield (
            f"The picture goes from {video.display_width}x{video.display_height} "
            f"to {width}x{height}; the frame rate follows the original."
        )


def _picture_losses(video: VideoTrack) -> Iterator[str]:
    width, height = video.display_width, video.display_height
    factor = _encoder_factor(width, height)
    if factor < 1.0:
        yield (
            f"The picture goes from {width}x{height} to {_even(width * factor)}x"
            f"{_even(height * factor)}, the largest the encoder makes."
        )
    if video.bit_depth and video.bit_depth > 8:
        yield f"{video.bit_depth}-bit colour becomes 8-bit."
    if video.chroma and video.chroma not in ("4:2:0", "420", "yuv420"):
        yield f"{video.chroma} colour sampling becomes 4:2:0."


def _sound_losses(facts: MediaFacts) -> Iterator[str]:
    """AAC throws something away, and some of these tracks were as recorded."""
    converted: dict[tuple[str, int], list[str]] = {}
    for track in facts.audio:
        planned = _audio_plan(track)
        if planned.bitrate_bps:
            codec = "another format" if track.codec == "UNKNOWN" else track.codec
            numbers = converted.setdefault((codec, planned.bitrate_bps), [])
            numbers.append(str(track.number))
        planned_hz = planned.sample_rate_hz
        if planned_hz and track.sample_rate_hz and planned_hz < track.sample_rate_hz:
            yield (
                f"Audio track {track.number} goes from {track.sample_rate_hz / 1000:g} kHz "
                f"to {planned_hz / 1000:g} kHz."
            )
    for (codec, bitrate_bps), numbers in converted.items():
        tracks = "tracks" if len(numbers) > 1 else "track"
        yield (
            f"Audio {tracks} {', '.join(numbers)}: {codec} becomes AAC at "
            f"{bitrate_bps // 1000} kbit/s."
        )


def _other_losses(facts: MediaFacts) -> Iterator[str]:
    if facts.data_tracks:
        plural = "s" if facts.data_tracks > 1 else ""
        yield (
            f"{facts.data_tracks} data or subtitle track{plural} cannot be carried by the encoder."
        )
