"""Measure a result against its source with ffmpeg, a bit at a time.

An invocation does as many steps as its time allows and hands back a `Progress`; the next one goes
on from there. The steps: look at the result, look at the source (`look.py`), listen to a few places
of both (`listen.py`), then compare one window after the other (`compare.py`). Each is a run or a
few of ffmpeg over ranged URLs; nothing is downloaded whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import Any

from chalicelib.adapters.ffmpeg import Ffmpeg, ToolTimedOut
from chalicelib.domain.codec import from_plain, to_plain
from chalicelib.domain.errors import Temporary
from chalicelib.domain.ffmpeg_output import FIRST_ERRORS, Complaints
from chalicelib.domain.measurement import Measurement, Window, track_notes, windows
from chalicelib.domain.picture_faults import PictureSum
from chalicelib.domain.score import ScoreSum
from chalicelib.domain.seconds import MOST_POINTS, Point, by_second
from chalicelib.domain.silence import Silence, missed, silence_problems
from chalicelib.domain.sync import Reading
from chalicelib.measuring.compare import compare
from chalicelib.measuring.listen import listen, places
from chalicelib.measuring.look import Look, look
from chalicelib.measuring.workbench import RESERVE_S, Clip, Film, Workbench

#: A step that begins with less time than this would only waste what it does.
STEP_MIN_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How much of a film is compared; see `domain.measurement.windows`.

    `vmaf`: by VMAF too.
    """

    full_below_s: float = 120.0
    window_s: float = 5.0
    count: int = 12
    vmaf: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a measurement has come: plain data, a few dozen kilobytes as JSON.

    Attributes:
        ends_only: reading a whole film took too long, so only its two ends are read.
        sampled: comparing the whole film took too long, so windows of it are compared.
        silent: where the result is silent and the source is not.
        silence_compared: both films were read for that from start to end.
        places_done: how many places are behind us, listened to or given up.
        windows_done: how many windows are behind us, compared or given up.
        compared_s: length of what was compared.
    """

    result: Look | None = None
    source: Look | None = None
    ends_only: bool = False
    sampled: bool = False
    silent: tuple[Silence, ...] = ()
    silence_compared: bool = False
    places_done: int = 0
    sound: tuple[Reading, ...] = ()
    windows_done: int = 0
    compared_s: float = 0.0
    score: ScoreSum = ScoreSum()  # noqa: RUF009 - frozen, so sharing it is harmless
    vmaf: ScoreSum = ScoreSum(metric="VMAF")  # noqa: RUF009
    picture: PictureSum = PictureSum()  # noqa: RUF009
    decode_errors: int = 0
    first_errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: tuple[Point, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()

    def to_json(self) -> dict[str, Any]:
        plain = to_plain(self)
        assert isinstance(plain, dict)
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Progress:
        return from_plain(cls, data)

    def noting(self, sentence: str) -> Progress:
        return replace(self, notes=tuple(dict.fromkeys((*self.notes, sentence))))

    def blaming(self, damage: Complaints) -> Progress:
        """With damage of the result added."""
        return replace(
            self,
            decode_errors=self.decode_errors + damage.errors,
            first_errors=(*self.first_errors, *damage.first)[:FIRST_ERRORS],
        )


def measure(
    ffmpeg: Ffmpeg,
    *,
    source: Clip,
    result: Clip,
    sampling: Sampling | None = None,
    progress: Progress | None = None,
    remaining_s: Callable[[], float] = lambda: 600.0,
) -> Measurement | Progress:
    """Measure, or get as far as the time allows.

    Args:
        progress: what an earlier invocation handed back.
        remaining_s: seconds this invocation has left; asked before every run.

    Returns:
        The measurement, or what is done so far when time ran out.

    Raises:
        Temporary: a film could not be reached, or cannot even be opened in the time there is.
    """
    bench = Workbench(ffmpeg, source, result, remaining_s)
    sampling = sampling or Sampling()
    progress = progress or Progress()
    is_first = True  # the first step of an invocation has all the time there ever is
    while not _is_done(progress, sampling):
        if not is_first and remaining_s() < STEP_MIN_S + RESERVE_S:
            return progress
        try:
            progress = _advance(bench, progress, sampling)
        except ToolTimedOut:
            if not is_first:
                return progress
            progress = _with_less_to_do(progress, sampling)
        is_first = False
    return _finished(progress, ffmpeg.version)


def planned_windows(progress: Progress, sampling: Sampling) -> tuple[Window, ...]:
    """The windows to compare. Empty when one of the films has no video, or is not yet known."""
    if progress.result is None or progress.source is None:
        return ()
    videos = (progress.result.video, progress.source.video)
    lengths = [video.duration_s for video in videos if video is not None]
    if len(lengths) < 2:
        return ()
    full_below_s = 0.0 if progress.sampled else sampling.full_below_s
    planned = windows(min(lengths), full_below_s, window_s=sampling.window_s, count=sampling.count)
    rate = progress.result.video.frame_rate if progress.result.video else None
    return tuple(_on_a_frame(window, Fraction(rate)) for window in planned) if rate else planned


def _on_a_frame(window: Window, rate: Fraction) -> Window:
    """From a frame of the result to another, so that the source can be brought to its raster."""
    length_s = window.length_s
    return Window(
        start_s=float(round(window.start_s * rate) / rate),
        length_s=None if length_s is None else float(ceil(length_s * rate) / rate),
    )


def _is_done(progress: Progress, sampling: Sampling) -> bool:
    if progress.result is None:
        return False
    if not progress.result.tracks:
        return True  # there is nothing to hold against the source
    if progress.source is None:
        return False
    return progress.windows_done >= len(planned_windows(progress, sampling))


def _advance(bench: Workbench, progress: Progress, sampling: Sampling) -> Progress:
    """Do the next step."""
    bench.commands.clear()
    if progress.result is None:
        progress = _look_at_result(bench, progress)
    elif progress.source is None:
        progress = _look_at_source(bench, progress)
    elif (place := _next_place(progress)) is not None:
        progress = _listen(bench, progress, *place)
    else:
        window = planned_windows(progress, sampling)[progress.windows_done]
        progress = _compare(bench, progress, window, sampling)
    return replace(progress, commands=(*progress.commands, *bench.commands))


def _look_at_result(bench: Workbench, progress: Progress) -> Progress:
    damage = Complaints()
    found = look(bench, Film.RESULT, damage, ends_only=progress.ends_only)
    return replace(progress, result=found).blaming(damage)


def _look_at_source(bench: Workbench, progress: Progress) -> Progress:
    assert progress.result is not None
    rate = progress.result.video.frame_rate if progress.result.video else None
    found = look(bench, Film.SOURCE, Complaints(), ends_only=progress.ends_only, rate=rate)
    progress = _held_against(progress, found)
    return progress if found.video else progress.noting("The original's video cannot be decoded.")


def _held_against(progress: Progress, source: Look) -> Progress:
    """What is silent in both films is no longer needed."""
    assert progress.result is not None
    result = progress.result
    compared = source.silences is not None and result.silences is not None
    zero_s = source.video.start_s if source.video is not None else 0.0
    ends_s = {
        track.number: (track.start_s - zero_s, track.end_s - zero_s)
        for track in source.tracks
        if track.kind == "audio"
    }
    return replace(
        progress,
        source=replace(source, silences=None),
        result=replace(result, silences=None),
        silent=missed(result.silences or (), source.silences or (), ends_s) if compared else (),
        silence_compared=compared,
    )


def _next_place(progress: Progress) -> tuple[float, float] | None:
    assert progress.result is not None and progress.source is not None
    if progress.source.video is None:
        return None  # nobody can say when its sound comes
    return next(iter(places(progress.result)[progress.places_done :]), None)


def _listen(bench: Workbench, progress: Progress, start_s: float, length_s: float) -> Progress:
    assert progress.result is not None and progress.source is not None
    found = listen(bench, progress.result, progress.source, start_s, length_s)
    return replace(progress, places_done=progress.places_done + 1, sound=(*progress.sound, *found))


def _compare(bench: Workbench, progress: Progress, window: Window, sampling: Sampling) -> Progress:
    assert progress.result is not None and progress.source is not None
    found = compare(bench, progress.result, progress.source, window, vmaf=sampling.vmaf)
    video = progress.result.video
    to_end_s = video.duration_s - window.start_s if video is not None else 0.0
    compared_s = (window.length_s or to_end_s) if found.frames else 0.0
    times_s = [window.start_s + frame.time_s for frame in found.frames]
    ssims = [frame.ssim for frame in found.frames]
    frame_s = video.frame_duration_s if video is not None else 0.0
    seconds = by_second(ssims, window.start_s, frame_s)
    progress = replace(
        progress,
        windows_done=progress.windows_done + 1,
        compared_s=progress.compared_s + compared_s,
        score=progress.score.add(ssims, times_s),
        vmaf=progress.vmaf.add(found.vmafs, times_s[: len(found.vmafs)]),
        picture=progress.picture.add(found.frames, window.start_s),
        seconds=(*progress.seconds, *seconds),
    ).blaming(found.damage)
    if found.source_errors:
        progress = progress.noting(
            "The original itself is damaged: it cannot be decoded without errors."
        )
    return progress


def _with_less_to_do(progress: Progress, sampling: Sampling) -> Progress:
    """After a step that does not fit into a whole invocation.

    Raises:
        Temporary: there is nothing left to leave out.
    """
    if progress.result is None or progress.source is None:
        if progress.ends_only:
            raise Temporary("Reading the two films took too long; it will be tried again.")
        return replace(progress, ends_only=True)
    if _next_place(progress) is not None:
        skipped = replace(progress, places_done=len(places(progress.result)))
        return skipped.noting("Comparing the sound with the original's took too long.")
    sampled = replace(progress, sampled=True)
    if not progress.sampled and planned_windows(sampled, sampling) != planned_windows(
        progress, sampling
    ):
        return sampled
    start_s = planned_windows(progress, sampling)[progress.windows_done].start_s
    skipped = replace(progress, windows_done=progress.windows_done + 1)
    return skipped.noting(f"Comparing the film from second {start_s:.0f} on took too long.")


def _is_tone_mapped(source: Look, result: Look) -> bool:
    before, after = (look.video.colour if look.video else None for look in (source, result))
    return bool(before and before.hdr and not (after and after.hdr))


def _told_once(progress: Progress) -> tuple[Reading, ...]:
    """Where silence was compared throughout, a place's own says nothing new."""
    if not progress.silence_compared:
        return progress.sound
    return tuple(replace(reading, silent_s=()) for reading in progress.sound)


def _finished(progress: Progress, measured_by: str) -> Measurement:
    source, result = progress.source or Look(), progress.result or Look()
    score = progress.score.score()
    if score is None:
        progress = progress.noting("No frame of the result could be compared.")
    length_s = result.video.duration_s if result.video is not None else 0.0
    return Measurement(
        source_tracks=source.tracks,
        result_tracks=result.tracks,
        decode_errors=progress.decode_errors,
        first_errors=progress.first_errors,
        score=score,
        vmaf=progress.vmaf.score(),
        picture_problems=progress.picture.problems(tone_mapped=_is_tone_mapped(source, result)),
        sound=_told_once(progress),
        sound_problems=silence_problems(
            progress.silent,
            {track.number: track.channels for track in result.tracks if track.kind == "audio"},
        ),
        lost=source.said.missing_in(result.said) if source.tracks and result.tracks else (),
        coverage=round(min(1.0, progress.compared_s / length_s), 4) if length_s else 0.0,
        measured_by=measured_by,
        notes=(*progress.notes, *track_notes(source.tracks, result.tracks)),
        seconds=progress.seconds[:MOST_POINTS],
        commands=progress.commands,
    )
