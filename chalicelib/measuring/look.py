"""Look at a film: which tracks it has, and when each of them is presented.

Video packets are only listed. Audio is decoded, because only then encoder delay and edit lists
have had their effect; and so all of a result's audio is known to decode.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import takewhile

from chalicelib.adapters.ffmpeg import LineSink
from chalicelib.domain.errors import Temporary
from chalicelib.domain.ffmpeg_output import (
    Complaints,
    PacketTimes,
    Probe,
    ProbedTrack,
    StreamPackets,
    parse_probe,
)
from chalicelib.domain.light import LightLines
from chalicelib.domain.measurement import StreamTimes
from chalicelib.domain.said import LINES_LIMIT, Said, parse_said
from chalicelib.domain.silence import RESULT_KEPT, SOURCE_KEPT, Silence, SilenceLines, detector
from chalicelib.measuring.workbench import Film, Workbench

#: Films up to this size are read from start to end; of larger ones only both ends. At 80 MB/s,
#: which one Lambda gets from S3, the whole takes under half a minute.
WHOLE_READ_BYTES = 2 * 2**30
_HEAD_S = 10.0
#: How much of the end is read, in turn, until every track has shown its last packet.
_TAILS_S = (20.0, 300.0)
_PROBE_LINES_LIMIT = 2_000
#: More audio tracks than these are not listened to. (Broadcasters deliver up to 16.)
TRACKS_LIMIT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a film turned out to be.

    Attributes:
        file_start_s: the file's earliest time stamp, from which seeking counts.
        video_start_s: time stamp of the first frame shown.
        width, height: as shown.
        tracks: times counted from the first moment anything is presented.
        said: what it says about itself.
        silences: all there are; None where not all sound was decoded.
    """

    file_start_s: float = 0.0
    video_start_s: float = 0.0
    width: int = 0
    height: int = 0
    pixel_format: str = ""
    tracks: tuple[StreamTimes, ...] = ()
    said: Said = Said()  # noqa: RUF009 - frozen, so sharing it is harmless
    silences: tuple[Silence, ...] | None = None

    @property
    def video(self) -> StreamTimes | None:
        """The video, where there is any of it to see."""
        found = next((track for track in self.tracks if track.kind == "video"), None)
        return found if found is not None and found.duration_s > 0 else None


def look(
    bench: Workbench,
    film: Film,
    complaints: Complaints,
    *,
    ends_only: bool = False,
    rate: str | None = None,
) -> Look:
    """Look at one of the films. A file that is no film gives an empty look and a complaint.

    Args:
        rate: count the frames that so many places a second have no room for.

    Raises:
        Temporary: the film could not be reached.
        ToolTimedOut: it takes more time than there is.
    """
    probe, said = _probe(bench, film, complaints)
    if not probe.tracks:
        return Look()
    whole = bench.clip(film).size_bytes <= WHOLE_READ_BYTES and not ends_only
    silence = SilenceLines(limit=RESULT_KEPT if film is Film.RESULT else SOURCE_KEPT)
    times, is_complete = _times(bench, film, probe, complaints, silence, whole=whole)
    found = _look_of(probe, times, is_complete=is_complete, rate=Fraction(rate) if rate else None)
    if any(track.colour and track.colour.hdr for track in found.tracks):
        found = _with_light(found, _light(bench, film))
    found = replace(found, said=said)
    if any(stream.is_guessed for stream in times.of("video")):
        first_s = _first_frame_s(bench, film)
        found = found if first_s is None else replace(found, video_start_s=first_s)
    silences = _from_first_frame(silence.found, found.video_start_s)
    return replace(found, silences=silences if silence.is_whole else None)


def _from_first_frame(silences: Iterable[Silence], zero_s: float) -> tuple[Silence, ...]:
    return tuple(
        replace(
            silence,
            start_s=round(silence.start_s - zero_s, 3),
            end_s=round(silence.end_s - zero_s, 3),
        )
        for silence in silences
    )


def _probe(bench: Workbench, film: Film, complaints: Complaints) -> tuple[Probe, Said]:
    """ffmpeg describes its inputs on stderr, and writes what the film says about itself."""
    lines: list[str] = []
    said: list[str] = []
    arguments = [
        *("-hide_banner", "-nostdin", "-nostats", *bench.reading(film, "-t", "0.01")),
        *("-map_metadata", "0", "-map", "0:a?", "-c", "copy", "-f", "ffmetadata", "-"),
    ]
    bench.run(arguments, on_stdout=_bounded(said, LINES_LIMIT), on_stderr=_bounded(lines))
    probe = parse_probe(takewhile(_is_of_the_input, lines))
    if not probe.tracks:
        last = next((line for line in reversed(lines) if "opening input" in line), "no tracks")
        _refuse_unreachable(lines)
        complaints.feed(f"[error] {last}")
    return probe, parse_said(said)


def _bounded(lines: list[str], limit: int = _PROBE_LINES_LIMIT) -> LineSink:
    def keep(line: str) -> None:
        if len(lines) < limit:
            lines.append(line)

    return keep


def _is_of_the_input(line: str) -> bool:
    """What a film says is indented, so it cannot end its own description."""
    return not line.startswith(("Stream mapping:", "Output #"))


def _refuse_unreachable(lines: list[str]) -> None:
    network = Complaints()
    for line in lines:
        network.feed(f"{line} [error] ")
    if network.network:
        raise Temporary("A film could not be reached.")


def _times(
    bench: Workbench,
    film: Film,
    probe: Probe,
    complaints: Complaints,
    silence: SilenceLines,
    *,
    whole: bool,
) -> tuple[PacketTimes, bool]:
    """Times of all tracks, and whether every packet was read for them; then of silence, too."""
    if not whole and probe.duration_s is not None:
        times = PacketTimes()
        _list_packets(bench, film, times, complaints, "-t", f"{_HEAD_S:g}")
        for start_s in _tail_starts(probe.duration_s):
            tail = PacketTimes()
            _list_packets(bench, film, tail, complaints, "-ss", f"{start_s:.3f}")
            if all(stream.packets for stream in tail.streams.values()):
                times.join(tail)
                return times, False
    times = PacketTimes()
    detectors = [
        detector(number, is_source=film is Film.SOURCE)
        for number in range(1, 1 + min(len(probe.of("audio")), TRACKS_LIMIT))
    ]
    _list_packets(bench, film, times, complaints, silence=silence, detectors=detectors)
    return times, True


def _tail_starts(duration_s: float) -> Iterator[float]:
    return (duration_s - tail_s for tail_s in _TAILS_S if duration_s > tail_s + _HEAD_S)


def _list_packets(
    bench: Workbench,
    film: Film,
    times: PacketTimes,
    complaints: Complaints,
    *stretch: str,
    silence: SilenceLines | None = None,
    detectors: Sequence[str] = (),
) -> None:
    opened = ["-copyts", *bench.reading(film, *stretch), "-map", "0:V:0?", "-c:v", "copy"]
    listing = ["-fps_mode", "passthrough", "-f", "framecrc", "-"]
    arguments = [*opened, "-map", "0:a?", "-c:a", "pcm_s16le", *listing]
    for number, filters in enumerate(detectors):
        arguments += ["-map", f"0:a:{number}", f"-filter:a:{number}", filters]
    if detectors:
        arguments = ["-v", "repeat+level+info", *arguments, "-f", "null", "-"]
    decoded = bench.run_counting(
        arguments, complaints, times.feed, on_stderr=silence.feed if silence else None
    )
    if silence is not None:
        silence.is_whole = decoded
    if not decoded and film is Film.SOURCE:
        # MediaConvert may know an audio codec that ffmpeg does not; its packets still tell.
        times.streams.clear()
        arguments = [*opened, "-map", "0:a?", "-c:a", "copy", *listing]
        bench.run_counting(arguments, Complaints(), times.feed)


def _light(bench: Workbench, film: Film) -> str | None:
    """HDR10's static metadata, which may be in the first picture and nowhere else."""
    lines = LightLines()
    opened = bench.reading(film, "-t", f"{_HEAD_S:g}")
    shown = ["-map", "0:V:0", "-frames:v", "1", "-vf", "showinfo", "-f", "null", "-"]
    bench.run(["-hide_banner", "-nostdin", *opened, *shown], on_stderr=lines.feed)
    return lines.text


def _with_light(look: Look, light: str | None) -> Look:
    tracks = (replace(t, light=light) if t.kind == "video" else t for t in look.tracks)
    return replace(look, tracks=tuple(tracks))


def _first_frame_s(bench: Workbench, film: Film) -> float | None:
    """Time stamp of the first frame as the decoder gives it; None when it gives none."""
    times = PacketTimes()
    opened = ["-copyts", *bench.reading(film, "-t", f"{_HEAD_S:g}"), "-map", "0:V:0"]
    listing = ["-frames:v", "1", "-c:v", "wrapped_avframe", "-fps_mode", "passthrough"]
    bench.run_counting([*opened, *listing, "-f", "framecrc", "-"], Complaints(), times.feed)
    return next((stream.first_s for stream in times.of("video")), None)


def _look_of(probe: Probe, times: PacketTimes, *, is_complete: bool, rate: Fraction | None) -> Look:
    streams = [*times.of("video"), *times.of("audio")]
    origin_s = min((s.first_s for s in streams if s.first_s is not None), default=0.0)
    videos, audios = probe.of("video")[:1], probe.of("audio")
    found = [*zip(videos, times.of("video"), strict=False)]
    heard = [*zip(audios, times.of("audio"), strict=False)]
    first = videos[0] if videos else ProbedTrack(kind="video", codec="")
    return Look(
        file_start_s=probe.start_s,
        video_start_s=(found[0][1].first_s or 0.0) if found else 0.0,
        width=first.width,
        height=first.height,
        pixel_format=first.pixel_format,
        tracks=tuple(
            _track(number, track, stream, origin_s, is_complete=is_complete, rate=rate)
            for kind in (found, heard)
            for number, (track, stream) in enumerate(kind, start=1)
        ),
    )


def _track(
    number: int,
    track: ProbedTrack,
    stream: StreamPackets,
    origin_s: float,
    *,
    is_complete: bool,
    rate: Fraction | None,
) -> StreamTimes:
    start_s, end_s = stream.first_s, stream.end_s
    pictures = is_complete and track.kind == "video"
    counts = pictures and rate is not None
    return StreamTimes(
        kind=track.kind,
        number=number,
        codec=track.codec,
        start_s=round(start_s - origin_s, 6) if start_s is not None else 0.0,
        end_s=round(end_s - origin_s, 6) if end_s is not None else 0.0,
        frame_duration_s=round(stream.usual_duration_s, 6),
        frames=stream.packets if is_complete else None,
        frame_rate=stream.constant_rate if track.kind == "video" else None,
        language=track.language,
        channels=track.channels,
        sample_rate_hz=track.sample_rate_hz,
        shape=_shape(track),
        transparent=track.transparent,
        colour=track.colour if track.kind == "video" else None,
        interlaced=track.interlaced,
        lines=track.height,
        layout=track.layout,
        crowded_frames=stream.crowded(rate) if counts and rate else None,
        quick_frame_s=round(stream.quick_frame_s, 6) if counts else None,
        longest_frame_s=round(stream.longest_frame_s, 6) if pictures else None,
    )


def _shape(track: ProbedTrack) -> float | None:
    if not track.width or not track.height:
        return None
    return round(track.pixel_aspect * track.width / track.height, 6)
