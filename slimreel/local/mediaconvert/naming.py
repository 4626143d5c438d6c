"""Where outputs go: destination, name modifier, extension and settings variables.

Source: https://docs.aws.amazon.com/mediaconvert/latest/ug/output-file-names-and-paths.html and
https://docs.aws.amazon.com/mediaconvert/latest/ug/list-of-settings-variables-with-examples.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

_EXTENSIONS = {"MP4": "mp4", "MOV": "mov"}
_VARIABLE = re.compile(r"\$(dt|d|t|fn|rv|ra|rc|w|h|f|ex|)(?:%0(\d+))?\$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """Values for the settings variables of one output; numbers in the units AWS prints."""

    started: datetime
    input_name: str
    width: int
    height: int
    frame_rate: int
    video_kbps: int
    audio_kbps: int
    extension: str


def split(url: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` URL."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def input_name(url: str) -> str:
    """File name of an input without its extension."""
    return PurePosixPath(split(url)[1]).stem


def extension(output: dict[str, Any]) -> str:
    container = output["containerSettings"]["container"]
    return str(output.get("extension") or _EXTENSIONS[container])


def output_url(destination: str, output: dict[str, Any], variables: Variables) -> str:
    """`s3://` URL of one file-group output."""
    base = destination if not destination.endswith("/") else destination + variables.input_name
    bare = base == f"s3://{split(base)[0]}"
    if bare:  # a bucket without a key: the input's name goes into its root
        base = f"{base}/{variables.input_name}"
    name = expand(base, variables, in_modifier=False)
    modifier = expand(str(output.get("nameModifier", "")), variables, in_modifier=True)
    return f"{name}{modifier}.{variables.extension}"


def expand(text: str, variables: Variables, *, in_modifier: bool) -> str:
    """Replace settings variables; those of outputs work in name modifiers only."""
    everywhere = {
        "dt": variables.started.strftime("%Y%m%dT%H%M%S"),
        "d": variables.started.strftime("%Y%m%d"),
        "t": variables.started.strftime("%H%M%S"),
        "fn": variables.input_name,
    }
    in_modifiers = {
        "rv": str(variables.video_kbps),
        "ra": str(variables.audio_kbps),
        "rc": str(variables.video_kbps + variables.audio_kbps),
        "w": str(variables.width),
        "h": str(variables.height),
        "f": str(variables.frame_rate),
        "ex": variables.extension,
        "": "$",
    }
    values = everywhere | (in_modifiers if in_modifier else {})

    def replace(found: re.Match[str]) -> str:
        value = values.get(found[1])
        return found[0] if value is None else value.zfill(int(found[2] or 0))

    return _VARIABLE.sub(replace, text)
