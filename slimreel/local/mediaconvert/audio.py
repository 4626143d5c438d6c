"""Audio descriptions as ffmpeg maps, filters and encoder options. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slimreel.local.mediaconvert.errors import JobError
from slimreel.local.mediaconvert.source import Audio

_DEFAULT_SELECTOR = "Audio Selector 1"
_PASSTHROUGH = frozenset({"aac", "ac3", "eac3"})
_LAYOUTS = {
    "CODING_MODE_1_0": "mono",
    "CODING_MODE_1_1": "stereo",
    "CODING_MODE_2_0": "stereo",
    "AD_RECEIVER_MIX": "stereo",
    "CODING_MODE_5_1": "5.1",
    "CODING_MODE_3_2": "5.1(side)",
    "CODING_MODE_3_2_LFE": "5.1(side)",
}
_SURROUND = {"AAC": "5.1", "AC3": "5.1(side)", "EAC3": "5.1(side)"}
_ENCODER = {"AAC": "aac", "AC3": "ac3", "EAC3": "eac3"}
_SETTINGS_KEY = {"AAC": "aacSettings", "AC3": "ac3Settings", "EAC3": "eac3Settings"}
_DEFAULT_BITRATE_BPS = {"AAC": 96_000, "AC3": 192_000, "EAC3": 192_000}
_VBR_QUALITY = {"LOW": "0.6", "MEDIUM_LOW": "1", "MEDIUM_HIGH": "1.4", "HIGH": "2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioPlan:
    """One output audio track.

    Attributes:
        tracks: the tracks it is made of; none means silence.
        layout: ffmpeg channel layout; None copies the track as it is.
        options: encoder options without a stream number.
    """

    tracks: tuple[Audio, ...]
    layout: str | None
    sample_rate_hz: int
    bitrate_bps: int
    encoder: str
    options: tuple[str, ...]
    language: str
    stream_name: str


def plan(
    description: dict[str, Any], input_settings: dict[str, Any], tracks: tuple[Audio, ...]
) -> AudioPlan | None:
    """Decide one output track; None when the input has no audio and nothing insists on it.

    Raises:
        JobError: 1040 for a track the input does not have or that cannot pass through.
    """
    selector = _selector(description, input_settings)
    chosen = _choose(selector, tracks) if selector is not None else ()
    if selector is not None and not chosen:
        return None
    codec = description["codecSettings"]["codec"]
    language = _language(description, chosen)
    name = str(description.get("streamName", ""))
    if codec == "PASSTHROUGH" or _copies(description["codecSettings"], chosen):
        return _copied(chosen, language, name)
    return _encoded(codec, description["codecSettings"], chosen, language, name)


def _selector(description: dict[str, Any], input_settings: dict[str, Any]) -> dict[str, Any] | None:
    """The selector a description names, else the one marked DEFAULT, else None: silence."""
    selectors: dict[str, dict[str, Any]] = input_settings.get("audioSelectors", {})
    name = description.get("audioSourceName", _DEFAULT_SELECTOR)
    if name in selectors:
        return selectors[name]
    for selector in selectors.values():
        if selector.get("defaultSelection") == "DEFAULT":
            return selector
    return None


def _choose(selector: dict[str, Any], tracks: tuple[Audio, ...]) -> tuple[Audio, ...]:
    kind = selector.get("selectorType", "TRACK")
    if kind == "LANGUAGE_CODE":
        wanted = (selector.get("customLanguageCode") or selector.get("languageCode", "")).lower()
        return tuple(t for t in tracks if t.language == wanted)[:1] or tracks[:1]
    numbers = selector.get("tracks")
    if not numbers:
        return tracks[:1]
    for number in numbers:
        if number > len(tracks):
            raise JobError(1040, f"Audio track [{number}] not found in input container.")
    return tuple(tracks[number - 1] for number in numbers)


def _language(description: dict[str, Any], chosen: tuple[Audio, ...]) -> str:
    configured = description.get("customLanguageCode") or description.get("languageCode") or ""
    followed = chosen[0].language if chosen else ""
    if description.get("languageCodeControl") == "FOLLOW_INPUT" and followed:
        return followed
    return str(configured).lower()


def _copies(codec_settings: dict[str, Any], chosen: tuple[Audio, ...]) -> bool:
    """WHEN_POSSIBLE: an AAC track that already has what was asked for is not encoded again."""
    settings = codec_settings.get("aacSettings", {})
    if settings.get("passthroughControl") != "WHEN_POSSIBLE" or len(chosen) != 1:
        return False
    track = chosen[0]
    return track.codec == "aac" and track.sample_rate_hz == settings.get("sampleRate")


def _copied(chosen: tuple[Audio, ...], language: str, name: str) -> AudioPlan:
    if len(chosen) != 1 or chosen[0].codec not in _PASSTHROUGH:
        codec = chosen[0].codec if chosen else "none"
        raise JobError(1040, f"Audio codec [{codec}] is not supported for audio passthrough.")
    track = chosen[0]
    return AudioPlan(
        tracks=chosen,
        layout=None,
        sample_rate_hz=track.sample_rate_hz,
        bitrate_bps=track.bitrate_bps or 0,
        encoder="copy",
        options=(),
        language=language,
        stream_name=name,
    )


def _encoded(
    codec: str, codec_settings: dict[str, Any], chosen: tuple[Audio, ...], language: str, name: str
) -> AudioPlan:
    settings = codec_settings.get(_SETTINGS_KEY[codec], {})
    bitrate = settings.get("bitrate", _DEFAULT_BITRATE_BPS[codec])
    options: tuple[str, ...] = ("-b:a", str(bitrate))
    if settings.get("rateControlMode") == "VBR":
        options = ("-q:a", _VBR_QUALITY[settings.get("vbrQuality", "MEDIUM_HIGH")])
    return AudioPlan(
        tracks=chosen,
        layout=_layout(codec, settings.get("codingMode", "CODING_MODE_AUTO"), chosen),
        sample_rate_hz=settings.get("sampleRate", 48_000),
        bitrate_bps=bitrate,
        encoder=_ENCODER[codec],
        options=options,
        language=language,
        stream_name=name,
    )


def _layout(codec: str, mode: str, chosen: tuple[Audio, ...]) -> str:
    if mode in _LAYOUTS:
        return _LAYOUTS[mode]
    channels = sum(track.channels for track in chosen) or 2
    if channels == 1:
        return "mono"
    return _SURROUND[codec] if channels >= 6 else "stereo"
