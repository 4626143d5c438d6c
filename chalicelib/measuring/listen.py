"""Listen to a place of both films: the loudness of every audio track, in step with the picture.

Time counts from the first frame that each film shows, and edit lists and encoder delay have had
their effect: what is compared is what a player sounds while it shows a picture.

Source: https://ffmpeg.org/ffmpeg-resampler.html (async, first_pts)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from chalicelib.domain.ffmpeg_output import Complaints
from chalicelib.domain.loudness import RATE_HZ, readings, sounds
from chalicelib.domain.measurement import StreamTimes
from chalicelib.domain.sync import Reading
from chalicelib.measuring.look import TRACKS_LIMIT, Look
from chalicelib.measuring.workbench import Film, Workbench

#: Films up to this long are listened to from start to end; of longer ones, evenly spread places.
WHOLE_S = 60.0
PLACE_S, PLACES = 12.0, 5
#: Decoders need a moment to get into step after a seek; ffmpeg merges so many channels at most.
_LEAD_S, _CHANNELS_LIMIT = 1.0, 60
#: Time stamps of Vorbis in WebM are up to 20 ms off; only more than this is a gap to be filled.
_GAP_S = 0.06
#: What channels are compared one by one; all others are mixed to one.
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


def places(result: Look) -> tuple[tuple[float, float], ...]:
    """Where to listen: start and length. Empty for a film without sound or without a picture."""
    heard = [track for track in result.tracks if track.kind == "audio" and track.duration_s > 0]
    if not heard or result.video is None:
        return ()
    length_s = max(track.end_s for track in heard) - _video_start_s(result)
    if length_s <= 0:
        return ()
    if length_s <= WHOLE_S:
        return ((0.0, length_s),)
    gap_s = (length_s - PLACE_S) / (PLACES - 1)
    return tuple((round(number * gap_s, 3), PLACE_S) for number in range(PLACES))


def _video_start_s(look: Look) -> float:
    """Tracks count from the first moment that anything is presented."""
    return look.video.start_s if look.video is not None else 0.0


def listen(
    bench: Workbench, result: Look, source: Look, start_s: float, length_s: float
) -> tuple[Reading, ...]:
    """Hold the sound of one place against the source's.

    What cannot be decoded is silent here; `look.py` counts the errors of the result.

    Raises:
        Temporary: a film could not be reached.
        ToolTimedOut: it takes more time than there is.
    """
    before, after = _audible(source), _audible(result)
    heard = list(zip(before, after, strict=False))[:TRACKS_LIMIT]
    heard_before, heard_after = [], []
    for tracks in _batches(heard):
        counts = [_channels(*pair) for _, pair in tracks]
        data = bytearray()
        arguments = listening_arguments(bench, result, source, tracks, start_s, length_s)
        bench.run_counting(arguments, Complaints(), on_data=data.extend)
        found = sounds(bytes(data), [*counts, *counts])
        heard_after += found[: len(tracks)]
        heard_before += found[len(tracks) :]
    return readings(heard_before, heard_after, start_s)


_Pair = tuple[StreamTimes, StreamTimes]


def _audible(look: Look) -> list[StreamTimes]:
    return [track for track in look.tracks if track.kind == "audio"]


def _channels(before: StreamTimes, after: StreamTimes) -> int:
    same = before.channels == after.channels and after.channels in _LAYOUTS
    return after.channels if same and after.channels else 1


def _batches(heard: Sequence[_Pair]) -> Iterator[list[tuple[int, _Pair]]]:
    """Places of the tracks and the tracks, as many at a time as can be merged."""
    batch: list[tuple[int, _Pair]] = []
    width = 0
    for number, pair in enumerate(heard):
        width += 2 * _channels(*pair)
        if batch and width > _CHANNELS_LIMIT:
            yield batch
            batch, width = [], 2 * _channels(*pair)
        batch.append((number, pair))
    if batch:
        yield batch


def listening_arguments(
    bench: Workbench,
    result: Look,
    source: Look,
    tracks: Sequence[tuple[int, _Pair]],
    start_s: float,
    length_s: float,
) -> list[str]:
    films = ((0, result), (1, source))
    chains = [
        f"[{film}:a:{number}]{_in_step(look, start_s, length_s, _channels(*pair))}"
        f"[f{film}t{number}]"
        for film, look in films
        for number, pair in tracks
    ]
    labels = "".join(f"[f{film}t{number}]" for film, _ in films for number, _ in tracks)
    merged = f"{labels}amerge=inputs={2 * len(tracks)}[heard]"
    return [
        "-copyts",
        *bench.reading(Film.RESULT, *_stretch(result, start_s, length_s), "-vn"),
        *bench.reading(Film.SOURCE, *_stretch(source, start_s, length_s), "-vn"),
        *("-filter_complex", ";".join(chain(chains, [merged])), "-map", "[heard]"),
        *("-c:a", "pcm_s16le", "-f", "s16le", "-"),
    ]


def _stretch(look: Look, start_s: float, length_s: float) -> list[str]:
    """Input options that read a place, and a moment on either side."""
    lead_s = look.video_start_s - look.file_start_s
    seek_s = lead_s + start_s - _LEAD_S
    if seek_s <= 0:
        return ["-t", f"{lead_s + start_s + length_s + _LEAD_S:.6f}"]
    return ["-ss", f"{seek_s:.6f}", "-t", f"{length_s + 2 * _LEAD_S:.6f}"]


def _in_step(look: Look, start_s: float, length_s: float, channels: int) -> str:
    """Samples from exactly the place's first moment to its last, silent where there are none."""
    zero_s = look.video_start_s + start_s
    samples = round(length_s * RATE_HZ)
    return (
        f"asetpts=PTS-({zero_s:.6f})/TB,"
        f"aresample={RATE_HZ}:async=1:min_hard_comp={_GAP_S}:first_pts=0,"
        f"aformat=sample_fmts=s16:channel_layouts={_LAYOUTS[channels]},"
        f"apad,atrim=end_sample={samples}"
    )
