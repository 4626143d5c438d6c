"""What an independent look at a result and its source found, and what to hold against the result.

Nothing here runs a tool: `ffmpeg_output.py` beside it reads what ffmpeg prints, and
`measuring/measure.py` runs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from chalicelib.domain import pace
from chalicelib.domain.codec import from_plain, to_plain
from chalicelib.domain.colour import (
    Colour,
    colour_notes,
    colour_problems,
    mapped_problems,
    unsaid_problems,
)
from chalicelib.domain.light import light_problems
from chalicelib.domain.score import QualityScore
from chalicelib.domain.seconds import Point
from chalicelib.domain.sync import Reading

#: Time stamps of Matroska are whole milliseconds, so two readings of one moment differ by this.
ROUNDING_S = 0.001
#: Two audio frames are allowed; PCM has no frames, so a longer packet is not taken for one.
AUDIO_FRAME_MAX_S = 0.05
#: How much a picture's shape may change: even sizes cost a small one up to a pixel each way.
SHAPE_SHARE = 0.02
#: A picture may be shown for so long, or twice as long as any of the source's.
STANDING_S = 0.5

#: ISO 639-2/B codes by their ISO 639-2/T twin: one language, two spellings.
#: Source: https://www.loc.gov/standards/iso639-2/
_SAME_LANGUAGE = {
    "alb": "sqi",
    "arm": "hye",
    "baq": "eus",
    "bur": "mya",
    "chi": "zho",
    "cze": "ces",
    "dut": "nld",
    "fre": "fra",
    "geo": "kat",
    "ger": "deu",
    "gre": "ell",
    "ice": "isl",
    "mac": "mkd",
    "mao": "mri",
    "may": "msa",
    "per": "fas",
    "rum": "ron",
    "slo": "slk",
    "tib": "bod",
    "wel": "cym",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTimes:
    """When a track is presented, counted from the first moment of the film.

    Edit lists and encoder delay are applied: for audio these are the times of the samples a
    player sounds, for video of the frames it shows.

    Attributes:
        kind: "video" or "audio".
        number: 1 for the first track of its kind.
        codec: ffmpeg's name for it.
        frame_duration_s: the usual length of one frame (of `samples / rate` for audio).
        frames: frames in the track; None where only its two ends were read.
        frame_rate: "30000/1001" where every frame lasts equally long; else None. Video only.
        language: ISO 639 code; None when the track does not say.
        shape: width over height of the picture as players show it. Video only.
        transparent: the picture has an alpha channel.
        colour: what its tags say. Video only.
        interlaced: it says that its pictures are pairs of half pictures.
        light: HDR10's static metadata as ffmpeg words it; None where there is none.
        lines: height of the picture. 0 for audio.
        layout: where the channels belong, as ffmpeg calls it.
        crowded_frames: how many of a source's frames the result's frame rate has no room for.
        quick_frame_s: the gap between two frames that all but the quickest fifth of them keep.
            Both: source's video only; None where nobody counted.
        longest_frame_s: how long one picture is shown at most; None where only the ends were read.
    """

    kind: Literal["video", "audio"]
    number: int
    codec: str
    start_s: float
    end_s: float
    frame_duration_s: float
    frames: int | None = None
    frame_rate: str | None = None
    language: str | None = None
    channels: int | None = None
    sample_rate_hz: int | None = None
    shape: float | None = None
    transparent: bool = False
    colour: Colour | None = None
    interlaced: bool = False
    light: str | None = None
    lines: int = 0
    layout: str | None = None
    crowded_frames: int | None = None
    quick_frame_s: float | None = None
    longest_frame_s: float | None = None

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s

    @property
    def name(self) -> str:
        return "video" if self.kind == "video" else f"audio track {self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """An independent look at a result beside its source.

    Attributes:
        decode_errors: complaints while the result was decoded. All of its audio is, and as much
            of its video as `coverage` says.
        first_errors: the first of them as the tool worded them.
        score: SSIM; None when no frame could be compared.
        vmaf: None where nobody asked for it, or no frame could be compared.
        picture_problems: blank and still pictures that the source does not have, and the like, in
            sentences.
        sound_problems: silence that the source does not have, in sentences.
        sound: what was found of each audio track at a few places.
        lost: names of what the source says about itself and the result does not.
        coverage: share of the film's length that was decoded and scored, 0 to 1.
        measured_by: tool and version.
        notes: what could not be measured, in sentences.
        seconds: of each compared second when it is, and mean and lowest score of its frames.
        commands: the arguments of every run, with "{source}" and "{result}" for the two files, so
            that anyone can repeat them.
    """

    source_tracks: tuple[StreamTimes, ...]
    result_tracks: tuple[StreamTimes, ...]
    decode_errors: int
    coverage: float
    measured_by: str
    score: QualityScore | None = None
    vmaf: QualityScore | None = None
    picture_problems: tuple[str, ...] = ()
    sound_problems: tuple[str, ...] = ()
    sound: tuple[Reading, ...] = ()
    lost: tuple[str, ...] = ()
    first_errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: tuple[Point, ...] = field(default=(), repr=False)
    commands: tuple[tuple[str, ...], ...] = field(default=(), repr=False)

    @property
    def scores(self) -> tuple[QualityScore, ...]:
        return tuple(score for score in (self.score, self.vmaf) if score is not None)

    def scored(self, metric: str) -> QualityScore | None:
        return self.vmaf if metric == "VMAF" else self.score

    def to_json(self) -> dict[str, Any]:
        plain = to_plain(self)
        assert isinstance(plain, dict)
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measurement:
        return from_plain(cls, data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of the film to compare.

    Attributes:
        start_s: from the first frame.
        length_s: None to go on to the end, whatever the headers say about where that is.
    """

    start_s: float
    length_s: float | None


def windows(
    duration_s: float, full_below_s: float = 120.0, *, window_s: float = 5.0, count: int = 12
) -> tuple[Window, ...]:
    """Which stretches to compare: all of a short film, else the first and the last seconds and
    evenly spread ones between. The same film always gives the same stretches.

    Args:
        full_below_s: films up to this long are compared from start to end.
        window_s, count: length and number of the stretches of a longer film; count is at least 2.
    """
    if duration_s <= max(full_below_s, window_s * count):
        return (Window(start_s=0.0, length_s=None),)
    last = duration_s - window_s
    starts = [round(last * number / (count - 1), 3) for number in range(count)]
    spread = [Window(start_s=start, length_s=window_s) for start in starts[:-1]]
    return (*spread, Window(start_s=starts[-1], length_s=None))


def duration_problems(
    source: Sequence[StreamTimes], result: Sequence[StreamTimes]
) -> tuple[str, ...]:
    """Tracks of the result that are not as long as the source's, in sentences.

    A track may differ by `tolerance_s`, either in length or in where it ends (an encoder may fill
    a late start with silence or black), and may not start later than it did.
    """
    problems: list[str] = []
    for before, after in pairs(source, result):
        allowed_s = tolerance_s(source, result)
        longer_s = after.duration_s - before.duration_s
        later_s = after.end_s - before.end_s
        if min(abs(longer_s), abs(later_s)) > allowed_s + ROUNDING_S:
            problems.append(
                f"{after.name} lasts {after.duration_s:.3f} s instead of {before.duration_s:.3f} s "
                f"({1000 * allowed_s:.0f} ms are allowed)"
            )
        elif after.start_s - before.start_s > allowed_s + ROUNDING_S:
            delay_ms = 1000 * (after.start_s - before.start_s)
            problems.append(f"{after.name} starts {delay_ms:.0f} ms later than in the original")
    return tuple(problems)


def lost_frames(source: Sequence[StreamTimes], result: Sequence[StreamTimes]) -> str | None:
    """What a result of too low a frame rate lacks of its source, in words; None for nothing."""
    before, after = _video(source), _video(result)
    if before is None or after is None or not after.frame_rate:
        return None
    crowded, frames = before.crowded_frames or 0, before.frames or 0
    rate = float(Fraction(after.frame_rate))
    if not pace.lacks_room(crowded, frames, rate, before.quick_frame_s or 0.0):
        return None
    return f"{crowded} of {frames} pictures would be lost, because the frame rate varies"


def roomy_rate(source: Sequence[StreamTimes]) -> str | None:
    """The frame rate with a place for nearly every frame, as "60/1"; None where there is none."""
    video = _video(source)
    return pace.roomy_rate(video.quick_frame_s) if video is not None else None


def _video(tracks: Sequence[StreamTimes]) -> StreamTimes | None:
    return next((track for track in tracks if track.kind == "video"), None)


def tolerance_s(source: Sequence[StreamTimes], result: Sequence[StreamTimes]) -> float:
    """One video frame or two audio frames, whichever is longer, of the slower of the two files."""
    video = [track.frame_duration_s for track in (*source, *result) if track.kind == "video"]
    audio = [
        min(track.frame_duration_s, AUDIO_FRAME_MAX_S)
        for track in (*source, *result)
        if track.kind == "audio"
    ]
    return max(max(video, default=0.0), 2 * max(audio, default=0.0))


def track_problems(
    source: Sequence[StreamTimes], result: Sequence[StreamTimes], *, tone_mapped: bool = False
) -> tuple[str, ...]:
    """Tracks that are missing, extra, of another shape or colour, in another language or with other
    channels, in sentences.

    Args:
        tone_mapped: the result was to become SDR.
    """
    problems: list[str] = []
    if not any(track.kind == "video" for track in result):
        problems.append("there is no video")
    counts = [sum(track.kind == "audio" for track in tracks) for tracks in (source, result)]
    if counts[0] != counts[1]:
        problems.append(f"there are {counts[1]} audio tracks instead of {counts[0]}")
    for before, after in pairs(source, result):
        if before.kind == "audio":
            problems += _audio_problems(before, after)
        else:
            problems += [
                *_picture_problems(before, after),
                *_colour_problems(before, after, tone_mapped=tone_mapped),
                *_light_problems(before, after),
            ]
    return tuple(problems)


def pairs(
    source: Sequence[StreamTimes], result: Sequence[StreamTimes]
) -> list[tuple[StreamTimes, StreamTimes]]:
    """Tracks of the same kind and number."""
    theirs = {(track.kind, track.number): track for track in result}
    return [
        (track, theirs[track.kind, track.number])
        for track in source
        if (track.kind, track.number) in theirs
    ]


def _picture_problems(before: StreamTimes, after: StreamTimes) -> list[str]:
    """Frames are compared at one size, so their likeness says nothing about how they are shown."""
    problems: list[str] = []
    if before.shape and after.shape and abs(after.shape / before.shape - 1) > SHAPE_SHARE:
        problems.append(
            f"the picture is shown {after.shape:.2f} times as wide as high "
            f"instead of {before.shape:.2f} times"
        )
    if before.transparent and not after.transparent:
        problems.append("the original has an alpha channel (transparency), which would be lost")
    if after.interlaced:
        problems.append("the picture is interlaced")
    if (before.longest_frame_s is not None and after.longest_frame_s is not None) and (
        after.longest_frame_s > max(STANDING_S, 2 * before.longest_frame_s)
    ):
        problems.append(
            f"one picture is shown for {after.longest_frame_s:.2f} s; in the original none is for "
            f"more than {before.longest_frame_s:.2f} s"
        )
    return problems


def _light_problems(before: StreamTimes, after: StreamTimes) -> Iterable[str]:
    was_hdr, is_hdr = (bool(t.colour and t.colour.hdr) for t in (before, after))
    stays_hdr = was_hdr and is_hdr
    return light_problems(before.light, after.light, stays_hdr=stays_hdr, is_hdr=is_hdr)


def _colour_problems(
    before: StreamTimes, after: StreamTimes, *, tone_mapped: bool
) -> Iterable[str]:
    """Frames are compared by their numbers, so their likeness says nothing of their tags either."""
    if before.colour is None or after.colour is None:
        return ()
    if tone_mapped and before.colour.hdr:
        return mapped_problems(after.colour)
    return (
        *colour_problems(before.colour, after.colour),
        *unsaid_problems(before.colour, after.colour, after.lines),
    )


def _audio_problems(before: StreamTimes, after: StreamTimes) -> list[str]:
    problems: list[str] = []
    wanted, found = same_language(before.language), same_language(after.language)
    if wanted is not None and wanted != found:
        problems.append(f"{after.name} is marked {found or 'undetermined'} instead of {wanted}")
    if None not in (before.channels, after.channels) and before.channels != after.channels:
        problems.append(f"{after.name} has {after.channels} channels instead of {before.channels}")
    elif _place(before.layout) and _place(after.layout) not in (None, _place(before.layout)):
        problems.append(f"{after.name} is marked {after.layout} instead of {before.layout}")
    return problems


def _place(layout: str | None) -> str | None:
    """Speakers at the side or the back are one for players; None where the places are unknown."""
    if layout is None or "channels" in layout:
        return None
    return "stereo" if layout == "downmix" else layout.partition("(")[0].strip()


def track_notes(source: Sequence[StreamTimes], result: Sequence[StreamTimes]) -> tuple[str, ...]:
    """What is a little different, in sentences."""
    colours = [(before.colour, after.colour) for before, after in pairs(source, result)]
    return tuple(
        note
        for before, after in colours
        if before and after and bool(before.hdr) == bool(after.hdr)
        for note in colour_notes(before, after)
    )


def same_language(code: str | None) -> str | None:
    """One spelling for each language; None for undetermined."""
    plain = (code or "und").lower()
    return None if plain == "und" else _SAME_LANGUAGE.get(plain, plain)
