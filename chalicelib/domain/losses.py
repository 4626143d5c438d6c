"""What a result will lack of its source, said before it is encoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chalicelib.domain.material import Handling
from chalicelib.domain.media import MediaFacts, VideoTrack
from chalicelib.domain.mp4 import Beside
from chalicelib.domain.picture import encoder_factor, even
from chalicelib.domain.preset import Preset
from chalicelib.domain.sound import audio_plan

#: As many names of tags as people read.
NAMED_TAGS = 12
#: Files whose date, title and other tags are read and put back.
TOLD_CONTAINERS = ("mp4", "quicktime", "three_gp", "three_g2", "matroska", "webm")


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing a result lacks: its kinds (`preset.KINDS`), and a sentence for people."""

    kinds: tuple[str, ...]
    sentence: str


def losses(facts: MediaFacts, video: VideoTrack, handled: Handling) -> tuple[Loss, ...]:
    """Of the picture first, then of the sound, then of all else."""
    found = (*_picture_losses(video, handled), *_sound_losses(facts), *_other_losses(facts))
    return tuple(found)


def too_dear(lost: Iterable[Loss], preset: Preset) -> str | None:
    """Why the preset keeps the original: the first loss that it does not put up with."""
    for loss in lost:
        if any(kind in preset.keep_if_lost for kind in loss.kinds):
            return f"The preset “{preset.name}” keeps originals rather than this: {loss.sentence}"
    return None


def unsaid(said: Iterable[str], labels: Iterable[str]) -> tuple[str, ...]:
    """Those labels of lost metadata that no loss of the plan has named already."""
    sentences = " ".join(said).lower()
    return tuple(label for label in labels if label.lower() not in sentences)


def _picture_losses(video: VideoTrack, handled: Handling) -> Iterator[Loss]:
    width, height = video.display_width, video.display_height
    factor = encoder_factor(width, height)
    if factor < 1.0:
        yield Loss(
            ("size",),
            f"The picture goes from {width}x{height} to {even(width * factor)}x"
            f"{even(height * factor)}, the largest the encoder makes.",
        )
    if handled.tone_map:
        yield Loss(
            ("hdr",),
            f"{video.hdr} becomes SDR (standard dynamic range): highlights and strong colours are "
            "mapped to what any screen shows, and look different.",
        )
    if handled.deinterlace:
        yield Loss(
            ("fields",),
            "Interlaced film becomes progressive: it shows half as many moments a second.",
        )
    depth = 10 if handled.ten_bit else 8
    if video.bit_depth and video.bit_depth > depth:
        yield Loss(("depth",), f"{video.bit_depth}-bit colour becomes {depth}-bit.")
    if video.chroma and video.chroma not in ("4:2:0", "420", "yuv420"):
        yield Loss(("chroma",), f"{video.chroma} colour sampling becomes 4:2:0.")


def _sound_losses(facts: MediaFacts) -> Iterator[Loss]:
    """AAC throws something away, and some of these tracks were as recorded."""
    converted: dict[tuple[str, int], list[str]] = {}
    for track in facts.audio:
        planned = audio_plan(track)
        if planned.bitrate_bps:
            codec = "another format" if track.codec == "UNKNOWN" else track.codec
            numbers = converted.setdefault((codec, planned.bitrate_bps), [])
            numbers.append(str(track.number))
        planned_hz = planned.sample_rate_hz
        if planned_hz and track.sample_rate_hz and planned_hz < track.sample_rate_hz:
            yield Loss(
                ("sound",),
                f"Audio track {track.number} goes from {track.sample_rate_hz / 1000:g} kHz "
                f"to {planned_hz / 1000:g} kHz.",
            )
    for (codec, bitrate_bps), numbers in converted.items():
        tracks = "tracks" if len(numbers) > 1 else "track"
        yield Loss(
            ("sound",),
            f"Audio {tracks} {', '.join(numbers)}: {codec} becomes AAC at "
            f"{bitrate_bps // 1000} kbit/s.",
        )


def _other_losses(facts: MediaFacts) -> Iterator[Loss]:
    """The file's own index tells more of such tracks than Probe, where it can be read."""
    if facts.beside:
        yield from _beside_losses(facts.beside)
    elif facts.data_tracks:
        plural = "s" if facts.data_tracks > 1 else ""
        yield Loss(
            ("subtitles", "timecode", "data"),
            f"{facts.data_tracks} data or subtitle track{plural} cannot be carried by the encoder.",
        )
    if facts.container not in TOLD_CONTAINERS:
        yield Loss(
            ("tags",),
            "Date, title and other tags cannot be read from this kind of file, so they are not "
            "carried over.",
        )


def _beside_losses(beside: Iterable[Beside]) -> Iterator[Loss]:
    tags = [item.noun for item in beside if item.kind == "tags"]
    counts = Counter((item.kind, item.noun) for item in beside if item.kind != "tags")
    for (kind, noun), count in counts.items():
        languages = [b.language for b in beside if b.noun == noun and b.language]
        named = f" ({', '.join(dict.fromkeys(languages))})" if languages else ""
        what = f"{noun}{named}" if count == 1 else f"{noun}s{named}, {count} of them"
        yield Loss((kind,), f"{what[0].upper()}{what[1:]}, as the encoder writes none to MP4.")
    if tags:
        plural = "s" if len(tags) > 1 else ""
        more = f" and {len(tags) - NAMED_TAGS} more" if len(tags) > NAMED_TAGS else ""
        yield Loss(("tags",), f"Tag{plural}: {', '.join(tags[:NAMED_TAGS])}{more}.")
