"""What a film says about itself, as far as it can be carried over to another MP4."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from .boxes import printable

#: Where an entry lives: QuickTime user data, an iTunes list, or QuickTime's keyed metadata
#: (`com.apple.quicktime.*`, `com.android.*`).
Store = Literal["udta", "itunes", "mdta"]

#: Of what a film says about itself: how many names are listed, and how long one may be.
LABELS_LIMIT, LABEL_LIMIT = 40, 60

_EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
#: 1970-01-01 counted from 1904. Some cameras write Unix time into a 1904 field; ffmpeg reads any
#: date before 1970 that way, and so do we.
_UNIX_EPOCH_S = 2_082_844_800


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One piece of metadata in the bytes it was stored in, so that nothing is reinterpreted.

    Attributes:
        key: the four-character code (`udta`, `itunes`; a freeform iTunes item adds its name),
            or namespace and name of the key (`mdta`).
        value: content of the box.
    """

    store: Store
    key: bytes
    value: bytes

    @property
    def label(self) -> str:
        """What the entry is, for people: "location", "camera make", or its raw key."""
        name = self.key[4:] if self.store == "mdta" else self.key
        text = name.decode("utf-8", "replace") if self.store == "mdta" else printable(name)
        return LABELS.get(text) or LABELS.get(text.rpartition(".")[2]) or _tamed(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackMetadata:
    """What one track says about itself.

    Attributes:
        kind: the handler's four-character code: "vide", "soun", "text", "meta", "tmcd" …, or
            `CHAPTER_TRACK`.
        created_1904_s: seconds since 1904-01-01 UTC as stored, None when unset.
        language: ISO 639-2/T code ("eng"), None when undetermined.
        language_tag: BCP 47 tag ("pt-BR") where the file has one.
        name: the handler's name where a person chose it, None for a program's standard name.
    """

    kind: str
    created_1904_s: int | None = None
    language: str | None = None
    language_tag: str | None = None
    name: str | None = None
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MovieMetadata:
    """What a film says about itself. Empty for containers we do not read.

    Attributes:
        unplaced: names of what no MP4 has a place for.
    """

    created_1904_s: int | None = None
    entries: tuple[Entry, ...] = ()
    tracks: tuple[TrackMetadata, ...] = ()
    unplaced: tuple[str, ...] = ()

    @property
    def created_at(self) -> datetime | None:
        """The recording date."""
        seconds = self.created_1904_s
        if seconds is None:
            return None
        if seconds < _UNIX_EPOCH_S:
            seconds += _UNIX_EPOCH_S
        try:
            return _EPOCH + timedelta(seconds=seconds)
        except OverflowError:
            return None

    def tracks_of(self, kind: str) -> tuple[TrackMetadata, ...]:
        return tuple(track for track in self.tracks if track.kind == kind)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of everything there is, for people, without repeats."""
        return _labels(self._facts())

    def kept_in(self, other: MovieMetadata) -> tuple[str, ...]:
        """Names of the fields that `other` holds too."""
        theirs = set(other._facts())
        return _labels(fact for fact in self._facts() if fact in theirs)

    def missing_in(self, other: MovieMetadata) -> tuple[str, ...]:
        """Names of the fields that `other` lacks, or holds with another value."""
        theirs = set(other._facts())
        return _labels(fact for fact in self._facts() if fact not in theirs)

    def _facts(self) -> Iterator[_Fact]:
        if self.created_1904_s is not None:
            yield "recording date", self.created_1904_s
        for entry in self.entries:
            yield entry.label, entry
        for kind, noun in _CARRIED_TRACKS.items():
            for number, track in enumerate(self.tracks_of(kind), start=1):
                yield from _track_facts(track, f"{noun} {number}")
        for kind in sorted({track.kind for track in self.tracks} - _CARRIED_TRACKS.keys()):
            noun = OTHER_TRACKS.get(kind) or f"{printable(kind.encode('latin-1'))} track"
            yield noun, len(self.tracks_of(kind))
        for name in self.unplaced:
            yield name, True


_Fact = tuple[str, object]


def _track_facts(track: TrackMetadata, where: str) -> Iterator[_Fact]:
    if track.language is not None and track.kind == "soun":
        # The two codes of one language (ger, deu) count as carried over: only presence matters.
        yield f"language of {where}", True
    if track.language_tag is not None:
        yield f"language tag of {where}", track.language_tag
    if track.name is not None:
        yield f"name of {where}", track.name
    for entry in track.entries:
        yield f"{entry.label} of {where}", entry


def _labels(facts: Iterator[_Fact]) -> tuple[str, ...]:
    """Without repeats, and no more than people read and a record holds."""
    labels = tuple(dict.fromkeys(label for label, _ in facts))
    if len(labels) <= LABELS_LIMIT:
        return labels
    return (*labels[:LABELS_LIMIT], f"{len(labels) - LABELS_LIMIT} more")


def _tamed(text: str) -> str:
    """A key that anyone may have chosen, on one line and short."""
    return "".join(char for char in text if char.isprintable()).strip()[:LABEL_LIMIT] or "unnamed"


_CARRIED_TRACKS = {"vide": "video track", "soun": "audio track"}
#: Our own code for a text track that holds chapters.
CHAPTER_TRACK = "text of chapters"
#: What Matroska has beside its tracks.
MARKS = "chap"
ATTACHED_FONT, ATTACHED_PICTURE, ATTACHED_FILE = (
    "attached font",
    "attached picture",
    "attached file",
)
OTHER_TRACKS = {
    "meta": "timed metadata track",
    "tmcd": "time code track",
    "text": "text track",
    CHAPTER_TRACK: "chapter track",
    "sbtl": "subtitle track",
    "subt": "subtitle track",
    "subp": "subtitle track",
    "clcp": "closed caption track",
    MARKS: "chapters",
    ATTACHED_FONT: ATTACHED_FONT,
    ATTACHED_PICTURE: ATTACHED_PICTURE,
    ATTACHED_FILE: ATTACHED_FILE,
}

#: Keys as they appear in files, by what a person calls them. For dotted keys the last part counts.
LABELS = {
    "\xa9xyz": "location",
    "loci": "location",
    "location": "location",
    "com.apple.quicktime.location.ISO6709": "location",
    "\xa9day": "recording date",
    "creationdate": "recording date",
    "creation_time": "recording date",
    "date": "recording date",
    "\xa9mak": "camera make",
    "make": "camera make",
    "manu": "camera make",
    "\xa9mod": "camera model",
    "model": "camera model",
    "modl": "camera model",
    "\xa9nam": "title",
    "titl": "title",
    "title": "title",
    "displayname": "title",
    "name": "name",
    "\xa9cmt": "comment",
    "comment": "comment",
    "\xa9des": "description",
    "desc": "description",
    "dscp": "description",
    "description": "description",
    "\xa9ART": "artist",
    "perf": "artist",
    "artist": "artist",
    "\xa9aut": "author",
    "auth": "author",
    "author": "author",
    "\xa9cpy": "copyright",
    "cprt": "copyright",
    "copyright": "copyright",
    "\xa9swr": "camera software",
    "software": "camera software",
    "\xa9key": "keywords",
    "kywd": "keywords",
    "keywords": "keywords",
    "\xa9alb": "album",
    "\xa9gen": "genre",
    "\xa9wrt": "composer",
    "\xa9TIM": "start time code",
    "\xa9TSC": "start time code",
    "\xa9TSZ": "start time code",
    "chpl": "chapters",
    "covr": "cover picture",
    "XMP_": "XMP",
}
