"""The verdict on an encoded file: publish it, try again at a higher quality, or keep the original.

Pure: the measurement, the sizes and the plan go in, a decision with its reasons comes out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from chalicelib.domain.attempts import aimed_higher, at_rate, tightened
from chalicelib.domain.floors import floors, missed
from chalicelib.domain.measurement import (
    Measurement,
    duration_problems,
    lost_frames,
    roomy_rate,
    track_problems,
)
from chalicelib.domain.plan import Plan
from chalicelib.domain.sync import sound_problems
from chalicelib.domain.text import human_size, percent, rounded_down

#: Headers are not exact: a track may stop a moment before the container's stated length.
MISSING_S, MISSING_SHARE, MISSING_AT_MOST_S = 0.5, 0.02, 5.0
#: The encoder compares its result with what it decoded, we with what players show. On 70 clips the
#: two means were within 0.001 of each other; a mirrored picture was 0.26 and more apart.
DISAGREEMENT = 0.1
#: How far the encoder's own report may stay below an aim: samples mislead by as much
#: (docs/quality.md).
AIM_SLACK = 0.01
#: Of all that a film says about itself (HandBrake's users asked for them in a dozen threads).
MISSED_MOST = ("recording date", "location", "camera make", "camera model")


class Decision(StrEnum):
    ACCEPT = "accept"
    #: Higher, or within a limit of size, or leaner: another attempt.
    RETRY_HIGHER = "retry_higher"
    KEEP_ORIGINAL = "keep_original"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to publish. `problems` are the checks that failed; `reason` is one sentence.

    `best_effort`: the score stayed below the target, and the better of the attempts is published
    even so, as the preset wants.
    """

    decision: Decision
    reason: str
    problems: tuple[str, ...] = ()
    best_effort: bool = False


def judge(
    *,
    plan: Plan,
    measurement: Measurement,
    source_size_bytes: int,
    result_size_bytes: int,
    min_savings_percent: float,
    attempt: int,
    first_attempt: int,
    max_attempts: int,
    max_output_bytes: int | None = None,
    encoder_ssim_mean: float | None = None,
    put_back: Collection[str] = (),
) -> Verdict:
    """Decide about one attempt.

    Damage (decode errors, a missing or shifted track) is never cured by a higher quality level,
    so it keeps the original at once. Too little saving does the same, since a higher level only
    makes the file bigger; a file that is no smaller is never accepted, whatever the settings say.
    What brings a file under the workflow's limit of size is worth having, however little it saves.
    Only two things are worth another attempt: pictures lost to a frame rate that varies, and a low
    score, where the encoder saw it low as well.

    Args:
        encoder_ssim_mean: the encoder's own report, of its result against what it decoded.
        put_back: names of the metadata that the result is said to carry again.
    """
    damage = (*damage_problems(measurement, plan), *broken_promises(measurement, put_back))
    if damage:
        return _keep(f"The compressed file failed a check: {damage[0]}.", damage)
    if result_size_bytes >= source_size_bytes:
        return _keep(_not_smaller(source_size_bytes, result_size_bytes))
    saved_bytes = source_size_bytes - result_size_bytes
    fits_at_last = max_output_bytes is not None and (
        result_size_bytes <= max_output_bytes < source_size_bytes
    )
    if 100 * saved_bytes < min_savings_percent * source_size_bytes and not fits_at_last:
        return _keep(_too_little(100 * saved_bytes / source_size_bytes, min_savings_percent))
    tries_left = attempt - first_attempt + 1 < max_attempts
    if max_output_bytes is not None and result_size_bytes > max_output_bytes:
        why = _over_limit(result_size_bytes, max_output_bytes, source_size_bytes)
        if not tries_left:
            return _keep(why)
        return Verdict(decision=Decision.RETRY_HIGHER, reason=why, problems=(why,))
    if too_low := _below_aim(plan, encoder_ssim_mean):
        return _keep(f"No setting looked good enough: {too_low}.", (too_low,))
    if plan.vmaf_floor is not None and measurement.vmaf is None:
        return _keep("The compressed file could not be measured by VMAF, as its preset asks.")
    low = score_problems(plan, measurement)
    if low and _is_another_picture(plan, measurement, encoder_ssim_mean):
        return _keep(
            "The compressed picture is not the one that players show of the original; it may be "
            "turned, mirrored or out of step.",
            low,
        )
    lost = lost_frames(measurement.source_tracks, measurement.result_tracks)
    if not lost and not low:
        return Verdict(
            decision=Decision.ACCEPT,
            reason=f"{percent(saved_bytes / source_size_bytes)} smaller; all checks passed.",
        )
    problems = (*([lost] if lost else []), *low)
    if tries_left and next_plan(plan, measurement) is not None:
        return Verdict(decision=Decision.RETRY_HIGHER, reason=problems[0], problems=problems)
    if lost:
        return _keep(f"The compressed video would move less smoothly: {lost}.", problems)
    if plan.best_effort or plan.then is not None:
        return best_effort(
            plan,
            measurement,
            source_size_bytes=source_size_bytes,
            result_size_bytes=result_size_bytes,
        )
    return _keep(f"No setting looked good enough: {low[0]}.", low)


def best_effort(
    plan: Plan, measurement: Measurement, *, source_size_bytes: int, result_size_bytes: int
) -> Verdict:
    """The verdict on the better of two results that both stayed below the target."""
    low = score_problems(plan, measurement)
    smaller = percent(1 - result_size_bytes / source_size_bytes)
    return Verdict(
        decision=Decision.ACCEPT,
        reason=f"{smaller} smaller, as a best effort: {low[0]}.",
        problems=low,
        best_effort=True,
    )


def next_plan(
    plan: Plan,
    measurement: Measurement,
    *,
    result_size_bytes: int = 0,
    max_output_bytes: int | None = None,
) -> Plan | None:
    """The plan for another attempt that may cure what was found; None where nothing would."""
    tracks = measurement.source_tracks
    if max_output_bytes is not None and result_size_bytes > max_output_bytes:
        length_s = max((track.end_s for track in measurement.result_tracks), default=0.0)
        bps = result_size_bytes * 8 / max(length_s, 0.1)
        return tightened(plan, bps, result_size_bytes, max_output_bytes)
    if lost := lost_frames(tracks, measurement.result_tracks):
        rate = roomy_rate(tracks)
        is_higher = rate and Fraction(rate) > Fraction(plan.frame_rate or 0)
        return at_rate(plan, rate, lost) if rate and is_higher else None
    low = score_problems(plan, measurement)
    if not low or plan.best_effort:
        return None
    return aimed_higher(plan, measurement, low[0])


def better(one: Measurement, other: Measurement | None, metric: str = "SSIM") -> bool:
    """Whether the first of two results looks at least as good on average."""
    ours, theirs = one.scored(metric), other.scored(metric) if other else None
    return ours is None or theirs is None or ours.mean >= theirs.mean


def damage_problems(measurement: Measurement, plan: Plan) -> tuple[str, ...]:
    """What is broken in the result, in sentences, the first of them for people."""
    problems: list[str] = []
    if errors := measurement.decode_errors:
        problems.append(f"{errors} error{'s' if errors > 1 else ''} came up while decoding it")
        problems += [f"the decoder's own words: {said}" for said in measurement.first_errors[:1]]
    tracks = (measurement.source_tracks, measurement.result_tracks)
    problems += track_problems(*tracks, tone_mapped=plan.handling.tone_map)
    problems += duration_problems(measurement.source_tracks, measurement.result_tracks)
    problems += measurement.picture_problems
    problems += measurement.sound_problems
    problems += sound_problems(measurement.sound)
    if measurement.score is None:
        problems.append("it could not be compared with the original")
    return tuple(problems)


def broken_promises(measurement: Measurement, put_back: Collection[str]) -> tuple[str, ...]:
    """What people miss most of what was put back and cannot be read in the result."""
    return tuple(
        f"the {name} was put back, and cannot be read"
        for name in measurement.lost
        if name in MISSED_MOST and name in put_back
    )


def loss_notes(
    measurement: Measurement, put_back: Collection[str], known: Collection[str]
) -> tuple[str, ...]:
    """What else of what the original says about itself is gone, in sentences.

    Args:
        known: names of what was found lost before.
    """
    return tuple(
        f"Not in the result: {name}."
        for name in measurement.lost
        if not (name in MISSED_MOST and name in put_back)
        and not any(name in other for other in known)
    )


def missing_end(measurement: Measurement, promised_s: float | None) -> str | None:
    """Whether the source ends before its own index says; a sentence for its sender, or None.

    Encoders take such a file without complaint and return what there is of it.

    Args:
        promised_s: the length of the source's longest picture or sound track by its header.
    """
    if promised_s is None or not measurement.source_tracks:
        return None
    there_s = max(track.end_s for track in measurement.source_tracks)
    allowed_s = min(max(MISSING_S, MISSING_SHARE * promised_s), MISSING_AT_MOST_S)
    if promised_s - there_s <= allowed_s:
        return None
    return (
        f"The video ends too early: it should last {promised_s:.1f} s and only the first "
        f"{there_s:.1f} s are there. The upload or export was probably cut off; send it again."
    )


def score_problems(plan: Plan, measurement: Measurement) -> tuple[str, ...]:
    """Which of the plan's floors the result missed."""
    problems: list[str] = []
    for target in floors(plan):
        score = measurement.scored(target.metric)
        problems += missed(target, score) if score is not None else ()
    return tuple(problems)


def _below_aim(plan: Plan, encoder_ssim_mean: float | None) -> str | None:
    """Where our comparison can only tell whether it is the same picture, as after tone mapping by
    another curve than ours, the encoder's own report decides about the rest."""
    if plan.aim is None:
        return None
    if encoder_ssim_mean is None:
        return "the encoder did not report any likeness"
    if encoder_ssim_mean >= plan.aim.mean - AIM_SLACK:
        return None
    return (
        f"likeness to what was encoded (mean SSIM, the encoder's own report) is "
        f"{rounded_down(encoder_ssim_mean, 3)}, below {plan.aim.mean:.3f}"
    )


def _is_another_picture(
    plan: Plan, measurement: Measurement, encoder_ssim_mean: float | None
) -> bool:
    """Whether the encoder is content with what we find unlike the original."""
    score = measurement.score
    if score is None or encoder_ssim_mean is None:
        return False
    content = encoder_ssim_mean >= (plan.ssim_floor or 0.0)
    return content and encoder_ssim_mean - score.mean > DISAGREEMENT


def _keep(reason: str, problems: tuple[str, ...] = ()) -> Verdict:
    return Verdict(decision=Decision.KEEP_ORIGINAL, reason=reason, problems=problems)


def _not_smaller(source_size_bytes: int, result_size_bytes: int) -> str:
    if result_size_bytes == source_size_bytes:
        return "The compressed file would have been just as big."
    bigger = result_size_bytes / max(source_size_bytes, 1) - 1
    return f"The compressed file would have been {percent(bigger)} bigger."


def _over_limit(result_size_bytes: int, max_output_bytes: int, source_size_bytes: int) -> str:
    reason = (
        f"The compressed file would have {human_size(result_size_bytes)}, more than the "
        f"{human_size(max_output_bytes)} this workflow allows."
    )
    return reason if source_size_bytes <= max_output_bytes else f"{reason} So has the original."


def _too_little(saved_percent: float, min_savings_percent: float) -> str:
    return (
        f"Compressing would have saved only {rounded_down(saved_percent, 1)} %, "
        f"less than the {min_savings_percent:g} % that make it worth while."
    )
