"""Output picture sizes: from a source size, a box and a scaling behaviour.

Sources: https://docs.aws.amazon.com/mediaconvert/latest/ug/video-scaling.html and the
`VideoDescription` reference. How the service rounds a computed odd size is not documented; here it
goes to the nearest even number. A size that was asked for and is odd is an error, as there.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from slimreel.local.mediaconvert.errors import JobError

#: Largest output per codec, long side then short side.
#: Source: https://docs.aws.amazon.com/mediaconvert/latest/ug/reference-codecs-containers.html
_LARGEST = {"H_264": (4096, 2160), "H_265": (8192, 4320), "AV1": (4096, 2160)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Scale to `scaled`, then crop or pad around the centre to `final`. Pixels."""

    scaled: tuple[int, int]
    final: tuple[int, int]


def geometry(
    source: tuple[int, int],
    *,
    width: int | None,
    height: int | None,
    behaviour: str,
    codec: str,
    description: int,
) -> Geometry:
    """What to do to a picture of `source` (upright) size.

    Raises:
        JobError: 1040, an odd size or one the codec cannot have.
    """
    found = _geometry(source, width, height, behaviour)
    _check(found.final, codec, description)
    return found


def _geometry(
    source: tuple[int, int], width: int | None, height: int | None, behaviour: str
) -> Geometry:
    if width is None and height is None:
        return Geometry(scaled=source, final=source)
    ratio = Fraction(source[0], source[1])
    if width is None or height is None:
        size = _one_side(ratio, width, height)
        if behaviour == "FIT_NO_UPSCALE" and size[0] > source[0]:
            size = _even(source)
        return Geometry(scaled=size, final=size)
    box = (width, height)
    if behaviour == "STRETCH_TO_OUTPUT":
        return Geometry(scaled=box, final=box)
    if behaviour == "FILL":
        return Geometry(scaled=_cover(ratio, box), final=box)
    fitted = _inside(ratio, box)
    if behaviour == "FIT":
        return Geometry(scaled=fitted, final=_keep_odd(box, fitted))
    if behaviour == "FIT_NO_UPSCALE":
        if fitted[0] > source[0] or fitted[1] > source[1]:
            fitted = _even(source)
        return Geometry(scaled=fitted, final=_keep_odd(box, fitted))
    return Geometry(scaled=fitted, final=box)  # DEFAULT: bars fill the rest


def _keep_odd(box: tuple[int, int], fitted: tuple[int, int]) -> tuple[int, int]:
    """An odd number in the request is refused even where the picture would not reach it."""
    return box if box[0] % 2 or box[1] % 2 else fitted


def _one_side(ratio: Fraction, width: int | None, height: int | None) -> tuple[int, int]:
    if width is not None:
        return width, _nearest_even(width / ratio)
    assert height is not None
    return _nearest_even(height * ratio), height


def _inside(ratio: Fraction, box: tuple[int, int]) -> tuple[int, int]:
    if ratio >= Fraction(box[0], box[1]):
        return box[0], min(box[1], _nearest_even(box[0] / ratio))
    return min(box[0], _nearest_even(box[1] * ratio)), box[1]


def _cover(ratio: Fraction, box: tuple[int, int]) -> tuple[int, int]:
    if ratio >= Fraction(box[0], box[1]):
        return max(box[0], _nearest_even(box[1] * ratio)), box[1]
    return box[0], max(box[1], _nearest_even(box[0] / ratio))


def _even(size: tuple[int, int]) -> tuple[int, int]:
    return max(2, size[0] - size[0] % 2), max(2, size[1] - size[1] % 2)


def _nearest_even(value: Fraction | float) -> int:
    return max(2, 2 * round(value / 2))


def _check(size: tuple[int, int], codec: str, description: int) -> None:
    where = f"video_description [{description}]"
    if size[0] % 2 or size[1] % 2:
        raise JobError(
            1040,
            f"Invalid resolution [{size[0]} x {size[1]}], only even values are supported. {where}",
        )
    long_side, short_side = _LARGEST[codec]
    if max(size) > long_side or min(size) > short_side:
        raise JobError(
            1040,
            f"Invalid resolution [{size[0]} x {size[1]}], the largest this codec supports is "
            f"[{long_side} x {short_side}]. {where}",
        )
