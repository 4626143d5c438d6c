"""MediaConvert's job errors in words for the person who dropped the video.

Source: https://docs.aws.amazon.com/mediaconvert/latest/ug/mediaconvert_error_codes.html
"""

from __future__ import annotations

#: Codes that say nothing about the video: another attempt may succeed.
FAULTS = frozenset({1050, 1507, 1517, 1522, 1550, 1999})

#: Codes of a sound video that MediaConvert has no decoder for: the original is worth publishing.
NO_DECODER = frozenset({1030})

_SENTENCES = {
    1010: "The encoder cannot open the file: it is not a video, or a kind it does not know.",
    1020: "The encoder found no pictures in the file that it can decode.",
    1021: "The encoder could not decode the sound of the video.",
    1030: "The encoder does not know the codec or container of this video.",
    1040: "The encoder refused the settings for this video.",
    1075: "The video file is damaged: its structure cannot be read.",
    1076: "The video file ends too early; the upload or export was probably cut off.",
    1091: "The video is encrypted (DRM), so it cannot be encoded.",
    1092: "The sound of the video could not be decoded.",
    1401: "MediaConvert may not read or write our buckets; its role needs permissions.",
    1404: "The copy of the source was not found in S3.",
    1432: "MediaConvert's role lacks permissions.",
    1433: "MediaConvert's role does not exist or cannot be assumed.",
    1434: "MediaConvert's role does not trust MediaConvert.",
}


def sentence(code: int | None) -> str:
    """What happened, for the person who dropped the video."""
    return _SENTENCES.get(code or 0, "MediaConvert could not encode the video.")


def own_words(code: int | None, message: str | None) -> str | None:
    """What MediaConvert said, for the engineer: it names buckets and settings. None for nothing."""
    return f"MediaConvert {code or '(no code)'}: {message}" if message else None
