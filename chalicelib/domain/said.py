"""What a film says about itself, as ffmpeg reads it: an opinion independent of `domain/mp4`, which
writes it.

Source: https://ffmpeg.org/ffmpeg-formats.html#Metadata-1
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from chalicelib.domain.mp4 import is_standard_name

#: What a person calls it, and under which keys ffmpeg finds it in the containers we read. The names
#: are those of `domain/mp4`.
_KEYS = {
    "recording date": ("creation_time", "com.apple.quicktime.creationdate"),
    "location": ("location", "com.apple.quicktime.location.iso6709"),
    "camera make": ("make", "com.apple.quicktime.make", "com.android.manufacturer"),
    "camera model": ("model", "com.apple.quicktime.model", "com.android.model"),
    "title": ("title", "com.apple.quicktime.title"),
}
_TRACK_KEYS = ("title", "name", "handler_name")
#: Films with more than these hold them for other reasons than being watched.
LINES_LIMIT, VALUE_LIMIT, CHAPTERS_LIMIT = 4_000, 300, 500
#: Chapters begin where they began, to a frame or so.
_CHAPTER_SLACK_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a film says about itself, as far as people miss it.

    Attributes:
        facts: name (a key of `_KEYS`) and values, one after the other.
        tracks: what a person named each audio track; empty for unnamed ones.
        chapters_s: where each chapter begins.
    """

    facts: tuple[tuple[str, ...], ...] = ()
    tracks: tuple[str, ...] = ()
    chapters_s: tuple[float, ...] = ()

    def missing_in(self, other: Said) -> tuple[str, ...]:
        """Names of what the other does not say, or says otherwise."""
        theirs = {name: values for name, *values in other.facts}
        lost = [
            name
            for name, *values in self.facts
            if not {_plain(value) for value in values} & {_plain(v) for v in theirs.get(name, ())}
        ]
        for number, name in enumerate(self.tracks, start=1):
            if name and other.tracks[number - 1 : number] != (name,):
                lost.append(f"name of audio track {number}")
        if not _same_chapters(self.chapters_s, other.chapters_s):
            lost.append("chapters")
        return tuple(lost)


def _plain(value: str) -> str:
    """Dates to the second; each container has another precision."""
    return re.sub(r"(T\d\d:\d\d:\d\d)\.\d+", r"\1", value).strip()


def _same_chapters(before: tuple[float, ...], after: tuple[float, ...]) -> bool:
    return not before or (
        len(before) == len(after)
        and all(abs(a - b) <= _CHAPTER_SLACK_S for a, b in zip(before, after, strict=True))
    )


def parse_said(lines: Iterable[str]) -> Said:
    """What `ffmpeg -i FILE -map 0:a? -f ffmetadata -` prints."""
    film: dict[str, str] = {}
    tracks: list[dict[str, str]] = []
    chapters: list[dict[str, str]] = []
    section = film
    for line in lines:
        if line in ("[STREAM]", "[CHAPTER]"):
            section = {}
            (tracks if line == "[STREAM]" else chapters).append(section)
        elif (found := re.match(r"((?:[^=\\]|\\.)+)=(.*)", line)) is not None:
            section.setdefault(_unescaped(found[1]).lower(), _unescaped(found[2])[:VALUE_LIMIT])
    return Said(
        facts=tuple(_facts(film)),
        tracks=tuple(_name(track) for track in tracks),
        chapters_s=tuple(start for start in map(_start_s, chapters[:CHAPTERS_LIMIT])),
    )


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _facts(film: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    for name, keys in _KEYS.items():
        if values := [film[key] for key in keys if film.get(key)]:
            yield name, *values


def _name(track: Mapping[str, str]) -> str:
    names = (track.get(key, "") for key in _TRACK_KEYS)
    return next((name for name in names if name and not is_standard_name(name)), "")


def _start_s(chapter: Mapping[str, str]) -> float:
    over, _, under = chapter.get("timebase", "1/1000").partition("/")
    try:
        return round(int(chapter.get("start", "0")) * int(over) / int(under), 3)
    except (ValueError, ZeroDivisionError, OverflowError):
        return 0.0
