"""Make the plan: a pure function from facts and settings to a value that explains itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from chalicelib.domain import dial
from chalicelib.domain.bitrate import preset_cap_bps, source_bps
from chalicelib.domain.keeping import reason_to_keep, refusal
from chalicelib.domain.losses import losses, too_dear
from chalicelib.domain.material import check_floor, handling, handling_words
from chalicelib.domain.media import MediaFacts, VideoTrack
from chalicelib.domain.picture import output_size
from chalicelib.domain.plan import Plan, Route
from chalicelib.domain.preset import Preset
from chalicelib.domain.search import new_search
from chalicelib.domain.size_limit import kept_too_large, within
from chalicelib.domain.sound import audio_plan
from chalicelib.domain.text import rate_words
from chalicelib.domain.workflow import Workflow

CODEC_NAMES = {"H_264": "H.264", "H_265": "HEVC", "AV1": "AV1"}


def make_plan(facts: MediaFacts, preset: Preset, workflow: Workflow) -> Plan:
    """Decide what to do with a source."""
    video = facts.video
    if why_not := refusal(facts):
        return Plan(route=Route.REJECT, preset=preset.name, reasons=(why_not,))
    assert video is not None
    if reason := reason_to_keep(facts, video, preset, workflow):
        reason += kept_too_large(facts, workflow.max_output_bytes)
        return Plan(route=Route.KEEP, preset=preset.name, reasons=(reason,))
    handled = handling(video, preset)
    lost = losses(facts, video, handled)
    sentences = tuple(loss.sentence for loss in lost)
    if reason := too_dear(lost, preset):
        return Plan(route=Route.KEEP, preset=preset.name, reasons=(reason,), losses=sentences)
    width, height = output_size(video, preset)
    has_bps = source_bps(facts, video)
    cap_bps = preset_cap_bps(video, preset, width, height)
    max_bitrate = min(cap_bps, has_bps or cap_bps)
    floor = check_floor(handled, preset)
    plan = Plan(
        route=Route.ENCODE,
        preset=preset.name,
        reasons=(
            *_why(facts, video, preset, width, height, max_bitrate),
            *handling_words(handled, video),
        ),
        losses=sentences,
        codec=preset.codec,
        qvbr_level=preset.qvbr_level,
        max_bitrate_bps=max_bitrate,
        bitrate_ceiling_bps=max_bitrate if preset.max_bitrate_fixed else has_bps,
        tuning=preset.tuning or _cheapest_tuning(preset.codec),
        width=width,
        height=height,
        scaled=(width, height) != (video.display_width, video.display_height),
        ssim_floor=floor.mean,
        ssim_worst_floor=floor.worst,
        aim=preset.target if handled.tone_map else None,
        metric=preset.metric,
        vmaf_floor=preset.vmaf_floor,
        vmaf_worst_floor=preset.vmaf_worst_floor,
        then=preset.then,
        audio=tuple(audio_plan(track) for track in facts.audio),
        rotate=video.rotation_deg != 0,
        frame_rate=facts.pace.roomy if facts.pace else None,
        handling=handled,
    )
    return within(_with_search(plan, facts, preset), facts, workflow)


def _cheapest_tuning(codec: str) -> str | None:
    """Single pass is billed as basic. AV1 has no such setting (Av1Settings)."""
    return None if codec == "AV1" else "SINGLE_PASS_HQ"


def _with_search(plan: Plan, facts: MediaFacts, preset: Preset) -> Plan:
    duration_s = facts.picture_s
    if not preset.search or duration_s is None:
        return plan
    search = new_search(
        preset.target, duration_s, facts.activity, size=(plan.width or 0, plan.height or 0)
    )
    if search is None:
        return plan
    levels = " and ".join(dial.label(level) for level in search.levels)
    how = (
        f"{len(search.samples)} samples, {search.sampled_s:g} s together, are encoded at levels "
        f"{levels} first, to find the lowest that looks good enough."
    )
    reasons = (_intent(preset), how, *plan.reasons[1:])
    return replace(plan, route=Route.SEARCH, search=search, reasons=reasons)


def _intent(preset: Preset, level: str = "") -> str:
    return f"{CODEC_NAMES[preset.codec]}{level}, preset “{preset.name}”: {preset.about}"


def _why(
    facts: MediaFacts,
    video: VideoTrack,
    preset: Preset,
    width: int,
    height: int,
    max_bitrate_bps: int,
) -> Iterator[str]:
    yield _intent(preset, f" at QVBR level {dial.label(preset.qvbr_level)}")
    if max_bitrate_bps < preset_cap_bps(video, preset, width, height):
        yield f"At most {rate_words(max_bitrate_bps)}, which is what the original has."
    elif preset.max_bitrate_fixed:
        yield f"At most {rate_words(max_bitrate_bps)}, as the preset says."
    else:
        yield f"At most {rate_words(max_bitrate_bps)}, scaled to picture size and frame rate."
    if video.rotation_deg:
        yield f"Filmed turned by {video.rotation_deg}°, so the picture is turned upright."
    if (width, height) == (video.display_width, video.display_height):
        yield f"The picture stays {width}x{height}; {_rate_words(facts)}."
    else:
        yield (
            f"The picture goes from {video.display_width}x{video.display_height} "
            f"to {width}x{height}; {_rate_words(facts)}."
        )


def _rate_words(facts: MediaFacts) -> str:
    if facts.pace is None or facts.pace.roomy is None:
        return "the frame rate follows the original"
    rate = round(float(Fraction(facts.pace.roomy)), 2)
    return (
        f"the frame rate, which varies ({facts.pace.average:.3g} pictures a second on average), "
        f"becomes a constant {rate:g}, where each picture has its place"
    )
