"""Read what ffmpeg prints: file descriptions, packet times and complaints.

Source: https://ffmpeg.org/ffmpeg-formats.html#framecrc
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal

from chalicelib.domain.colour import Colour
from chalicelib.domain.pace import crowded, quick_gap

#: How many complaints are kept word for word.
FIRST_ERRORS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedTrack:
    """A video or audio track as ffmpeg's description of a file names it.

    Attributes:
        width, height: as shown, after rotation. 0 for audio, and where ffmpeg found none.
        pixel_aspect: width of a pixel over its height, after rotation.
        transparent: it has an alpha channel.
        interlaced: it says that its pictures are pairs of half pictures.
        layout: where the channels belong, as ffmpeg calls it: "stereo", "5.1(side)".
    """

    kind: Literal["video", "audio"]
    codec: str
    language: str | None = None
    width: int = 0
    height: int = 0
    pixel_format: str = ""
    pixel_aspect: float = 1.0
    transparent: bool = False
    colour: Colour = Colour()  # noqa: RUF009 - frozen, so sharing it is harmless
    interlaced: bool = False
    channels: int | None = None
    layout: str | None = None
    sample_rate_hz: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """ffmpeg's description of a file.

    Attributes:
        start_s: the file's earliest time stamp; seeking counts from there.
        duration_s: None where the header has none.
        tracks: video and audio in the file's order, without cover pictures.
    """

    start_s: float
    duration_s: float | None
    tracks: tuple[ProbedTrack, ...]

    def of(self, kind: str) -> tuple[ProbedTrack, ...]:
        return tuple(track for track in self.tracks if track.kind == kind)


#: What a line begins with. Lines of metadata, which anyone can write, are indented further: by four
#: spaces at least, or six inside a group, where tracks are indented by four (a time code track
#: makes a group of itself and the video).
_GROUP, _ALONE, _GROUPED = "  Stream group #", "  ", "    "
_STREAM = re.compile(
    r" +Stream #\d+:(?P<index>\d+)(?:\[0x[0-9a-f]+\])?(?:\((?P<language>.*)\))?: "
    r"(?P<kind>Video|Audio): (?P<codec>\w+)(?P<rest>.*)"
)
_DURATION = re.compile(r"  Duration: (?:(\d+):(\d\d):(\d\d\.\d+)|N/A)")
_START = re.compile(r", start: (-?\d+\.\d+)")
_ROTATION = re.compile(r"    Display Matrix: rotation of (-?\d+\.\d+) degrees")
_SIZE = re.compile(r", (\d{1,6})x(\d{1,6})\b")
_PIXEL_ASPECT = re.compile(r"\bSAR (\d{1,9}):(\d{1,9})\b")
#: ffmpeg's own decoder ignores the alpha channel of VP8 and VP9; the track's header tells of it.
_ALPHA_MODE = re.compile(r"    alpha_mode +: 1$", re.IGNORECASE)
_ALPHA_FORMATS = re.compile(r"yuva|gbrap|ya\d|ayuv|argb|abgr|rgba|bgra")
#: One name where all three are the same. "progressive" and the orders of half pictures are none.
_COLOURS = re.compile(
    r"(?!tv$|pc$|progressive$)(?P<matrix>[\w-]+)(?:/(?P<primaries>[\w-]+)/(?P<transfer>[\w-]+))?"
)
_HALF_PICTURES = ("top first", "bottom first", "top coded first", "bottom coded first")
_RATE = re.compile(r", (\d+) Hz, ([^,]+)")


def parse_probe(lines: Iterable[str]) -> Probe:
    """The description `ffmpeg -i FILE` prints on stderr."""
    start_s, duration_s = 0.0, None
    tracks: dict[int, ProbedTrack] = {}
    indent, video = _ALONE, None
    for line in lines:
        if line.startswith("  ") and line[2:3] != " ":
            indent = _GROUPED if line.startswith(_GROUP) else _ALONE
        if found := _DURATION.match(line):
            duration_s = _seconds(found)
            start = _START.search(line)
            start_s = float(start[1]) if start else 0.0
        elif line.startswith(f"{indent}Stream #"):
            stream, video = _STREAM.match(line), None
            if stream is not None and "(attached pic)" not in line:
                index = int(stream["index"])
                tracks[index] = _track(stream)
                video = index if stream["kind"] == "Video" else None
        elif video is not None and (found := _ROTATION.match(line.removeprefix(indent))):
            tracks[video] = _rotated(tracks[video], float(found[1]))
        elif video is not None and _ALPHA_MODE.match(line.removeprefix(indent)):
            tracks[video] = replace(tracks[video], transparent=True)
    in_order = tuple(tracks[index] for index in sorted(tracks))
    return Probe(start_s=start_s, duration_s=duration_s, tracks=in_order)


def _seconds(found: re.Match[str]) -> float | None:
    hours, minutes, seconds = found.groups()
    return None if hours is None else 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def _track(stream: re.Match[str]) -> ProbedTrack:
    language = _language(stream["language"])
    if stream["kind"] == "Audio":
        rate = _RATE.search(stream["rest"])
        return ProbedTrack(
            kind="audio",
            codec=stream["codec"],
            language=language,
            channels=channels(rate[2]) if rate else None,
            layout=rate[2].strip() if rate else None,
            sample_rate_hz=int(rate[1]) if rate else None,
        )
    size = _SIZE.search(stream["rest"])
    pixel_format = _pixel_format(stream["rest"])
    return ProbedTrack(
        kind="video",
        codec=stream["codec"],
        language=language,
        width=int(size[1]) if size else 0,
        height=int(size[2]) if size else 0,
        pixel_format=pixel_format,
        pixel_aspect=_pixel_aspect(stream["rest"]),
        transparent=_ALPHA_FORMATS.match(pixel_format) is not None,
        **_said_of(pixel_format, stream["rest"]),
    )


def _said_of(pixel_format: str, rest: str) -> dict[str, Any]:
    """Colours and half pictures, from what stands in brackets behind the pixel format:
    "yuv420p10le(tv, bt2020nc/bt2020/smpte2084, top coded first (swapped))"."""
    found = re.search(rf", {pixel_format}\(((?:[^()]|\([^()]*\))*)\)", rest)
    items = [item.strip() for item in found[1].split(",")] if found and pixel_format else []
    tags = {"range": next((item for item in items if item in ("tv", "pc")), "")}
    for item in items:
        if named := _COLOURS.fullmatch(item):
            first = named["matrix"]
            tags |= {"matrix": first, "primaries": named["primaries"] or first}
            tags["transfer"] = named["transfer"] or first
    interlaced = any(item.startswith(_HALF_PICTURES) for item in items)
    return {"colour": Colour(**tags), "interlaced": interlaced}


def _language(told: str | None) -> str | None:
    """A code, or a tag such as "pt-BR"; None for undetermined, and for all else a file may say."""
    known = told is not None and re.fullmatch(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,4}", told)
    return told if known and told != "und" else None


def _pixel_aspect(rest: str) -> float:
    found = _PIXEL_ASPECT.search(rest)
    return int(found[1]) / int(found[2]) if found and int(found[1]) and int(found[2]) else 1.0


def _pixel_format(rest: str) -> str:
    """The second item of " (High) (avc1 / 0x31637661), yuv420p(tv, bt709), 1280x720 …"."""
    plain = re.sub(r"\((?:[^()]|\([^()]*\))*\)", "", rest)
    items = [item.strip() for item in plain.split(",")]
    return items[1] if len(items) > 1 and re.fullmatch(r"[a-z][a-z0-9]*", items[1]) else ""


def _rotated(track: ProbedTrack, degrees: float) -> ProbedTrack:
    """A quarter turn swaps width and height."""
    if round(abs(degrees)) % 180 != 90:
        return track
    aspect = 1 / track.pixel_aspect
    return replace(track, width=track.height, height=track.width, pixel_aspect=aspect)


_LAYOUTS = {"mono": 1, "stereo": 2, "downmix": 2, "quad": 4, "hexagonal": 6, "octagonal": 8}


def channels(layout: str) -> int | None:
    """Number of channels of a layout: "stereo", "5.1(side)", "7.1.4", "6 channels (FL+…)"."""
    layout = layout.strip()
    if counted := re.match(r"(\d+) channels", layout):
        return int(counted[1])
    if dotted := re.match(r"\d+(?:\.\d+)+", layout):
        return sum(int(part) for part in dotted[0].split("."))
    return _LAYOUTS.get(re.split(r"[ (]", layout)[0])


@dataclass(slots=True)
class StreamPackets:
    """What the packets of one framecrc stream say, gathered line by line.

    Attributes:
        first, end: earliest and latest moment presented, in seconds as the file counts them.
        durations: how many packets last how many ticks.
        starts: when each packet is presented; of video only.
        is_guessed: some packets do not say when they are presented, so when they are decoded was
            taken for it; a few frames off where frames are reordered.
    """

    kind: str = ""
    codec: str = ""
    tick_s: Fraction = Fraction(1)
    first_ticks: int | None = None
    end_ticks: int | None = None
    last_start_ticks: int = 0
    last_duration_ticks: int = 0
    packets: int = 0
    is_guessed: bool = False
    durations: Counter[int] = field(default_factory=Counter)
    starts: set[int] = field(default_factory=set)

    @property
    def first_s(self) -> float | None:
        return None if self.first_ticks is None else float(self.first_ticks * self.tick_s)

    @property
    def end_s(self) -> float | None:
        return None if self.end_ticks is None else float(self.end_ticks * self.tick_s)

    @property
    def usual_duration_s(self) -> float:
        """The most common length; for equally common ones the longer."""
        if not self.durations:
            return 0.0
        ticks = max(self.durations, key=lambda ticks: (self.durations[ticks], ticks))
        return float(ticks * self.tick_s)

    @property
    def constant_rate(self) -> str | None:
        """ "30000/1001" where every packet lasts equally long; the one shown last may differ."""
        lasting = self.durations - Counter([self.last_duration_ticks])
        if len(lasting) != 1:
            return None
        ticks = next(iter(lasting))
        rate = 1 / (ticks * self.tick_s) if ticks > 0 else Fraction(0)
        return f"{rate.numerator}/{rate.denominator}" if rate else None

    def crowded(self, rate: Fraction) -> int:
        """How many frames find their place taken when there are `rate` places a second."""
        return crowded(self.starts, self.tick_s * rate)

    @property
    def quick_frame_s(self) -> float:
        """The gap between two frames that all but the quickest fifth of them keep."""
        gaps = [later - earlier for earlier, later in pairwise(sorted(self.starts))]
        return float(quick_gap(gaps) * self.tick_s)

    @property
    def longest_frame_s(self) -> float:
        """The widest gap between two frames, which is how long one of them is shown."""
        gaps = (later - earlier for earlier, later in pairwise(sorted(self.starts)))
        return float(max(gaps, default=0) * self.tick_s)

    def add(self, start: int, duration: int) -> None:
        self.packets += 1
        if self.kind == "video":
            self.starts.add(start)
        self.durations[duration] += 1
        self.first_ticks = start if self.first_ticks is None else min(self.first_ticks, start)
        end = start + duration
        self.end_ticks = end if self.end_ticks is None else max(self.end_ticks, end)
        if start >= self.last_start_ticks:
            self.last_start_ticks, self.last_duration_ticks = start, duration

    def join(self, later: StreamPackets) -> None:
        """Add a later stretch of the same stream."""
        self.kind, self.codec, self.tick_s = later.kind, later.codec, later.tick_s
        if self.first_ticks is None:
            self.first_ticks = later.first_ticks
        self.end_ticks = later.end_ticks
        self.last_start_ticks = later.last_start_ticks
        self.last_duration_ticks = later.last_duration_ticks
        self.packets += later.packets
        self.is_guessed = self.is_guessed or later.is_guessed
        self.durations += later.durations
        self.starts |= later.starts


#: Packets with this flag are decoded but not presented (they lie outside the edit list).
_DISCARD = 0x4
_STREAMS_LIMIT = 200
_HEADER = re.compile(r"#(tb|media_type|codec_id) (\d+): (.+)")
_PACKET = re.compile(r"(\d+),\s*(-?\d+|NOPTS),\s*(-?\d+|NOPTS),\s*(-?\d+),")
_FLAGS = re.compile(r", F=0x([0-9A-F]+)")
_NO_TIME = -(2**63)


def _ticks(text: str) -> int | None:
    return None if text == "NOPTS" or int(text) == _NO_TIME else int(text)


@dataclass(slots=True)
class PacketTimes:
    """Reads the lines of `-f framecrc`, which lists every packet of every stream."""

    streams: dict[int, StreamPackets] = field(default_factory=dict)

    def feed(self, line: str) -> None:
        if line.startswith("#"):
            self._header(line)
        elif packet := _PACKET.match(line):
            stream = self.streams.get(int(packet[1]))
            flags = _FLAGS.search(line, packet.end())
            hidden = flags is not None and int(flags[1], 16) & _DISCARD
            if stream is not None and not hidden:
                self._packet(stream, _ticks(packet[2]), _ticks(packet[3]), int(packet[4]))

    def _packet(
        self, stream: StreamPackets, decoded: int | None, shown: int | None, duration: int
    ) -> None:
        """AVI knows few presentation times; the order of decoding is then all there is."""
        if shown is None:
            stream.is_guessed = True
        start = decoded if shown is None else shown
        if start is not None:
            stream.add(start, duration)

    def _header(self, line: str) -> None:
        found = _HEADER.match(line)
        if found is None or len(self.streams) >= _STREAMS_LIMIT:
            return
        stream = self.streams.setdefault(int(found[2]), StreamPackets())
        match found[1]:
            case "tb":
                stream.tick_s = Fraction(found[3])
            case "media_type":
                stream.kind = found[3].strip()
            case "codec_id":
                stream.codec = found[3].strip()

    def join(self, later: PacketTimes) -> None:
        """Add what was read of a later stretch of the same file, by the same arguments."""
        for key, stream in later.streams.items():
            self.streams.setdefault(key, StreamPackets()).join(stream)

    def of(self, kind: str) -> list[StreamPackets]:
        return [self.streams[key] for key in sorted(self.streams) if self.streams[key].kind == kind]


#: Warnings that mean lost or patched-up pictures though ffmpeg exits with 0.
_DAMAGE = re.compile(
    r"\[warning\] .*(corrupt decoded frame|corrupt input packet|Packet corrupt)", re.IGNORECASE
)
_ERROR = re.compile(r"\[(error|fatal|panic)\] ")
_NETWORK = re.compile(r"\[(https?|tcp|tls) @ ")
_ADDRESS = re.compile(r" @ 0x[0-9a-f]+")


@dataclass(slots=True)
class Complaints:
    """Counts what ffmpeg complains about when run with `-v repeat+level+warning`.

    ffmpeg exits with 0 after decoding an encrypted or damaged film to garbage, so its exit code
    says little. Without "repeat", equal lines would be folded into one.

    Attributes:
        errors: errors about the film, and warnings that speak of corrupt packets and frames.
        network: errors about reaching it, which say nothing about the film.
    """

    errors: int = 0
    first: list[str] = field(default_factory=list)
    network: list[str] = field(default_factory=list)

    def feed(self, line: str) -> None:
        if _NETWORK.search(line):
            if _ERROR.search(line) and len(self.network) < FIRST_ERRORS:
                self.network.append(_ADDRESS.sub("", line))
        elif _ERROR.search(line) or _DAMAGE.search(line):
            self.errors += 1
            if len(self.first) < FIRST_ERRORS:
                self.first.append(_ADDRESS.sub("", line)[:300])


def parse_version(line: str) -> str:
    """ "ffmpeg 9.0.2" from the first line of `ffmpeg -version`; a build's own name as it is."""
    found = re.match(r"ffmpeg version (?:n?(?=\d+\.))?([\d.]+(?=[-\s])|\S+)", line)
    return f"ffmpeg {found[1]}" if found else "ffmpeg"
