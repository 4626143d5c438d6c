"""Treat a source as the encoder was told to, by filters of our own, so that it can be compared.

The encoder's own deinterlacer and tone mapper are not ours and need not agree with them: what is
compared is a result with a source treated independently.

Source: https://ffmpeg.org/ffmpeg-filters.html#bwdif, #tonemap, #zscale
"""

from __future__ import annotations

from chalicelib.measuring.look import Look

#: Makes one whole picture of two half ones; leaves alone what is not marked as interlaced.
DEINTERLACE = "bwdif=mode=send_frame:deint=interlaced"
#: Brightness of white in SDR. Source: ITU-R BT.2408.
_WHITE_NITS = 203


def treatment(result: Look, source: Look) -> str:
    """Filters for the source, each with a comma before it; "" for the usual film."""
    before, after = source.video, result.video
    if before is None or after is None:
        return ""
    filters: list[str] = []
    if before.interlaced and not after.interlaced:
        filters.append(DEINTERLACE)
    was, now = before.colour, after.colour
    if was and was.hdr and now and not now.hdr:
        filters += _tone_mapped(was.transfer)
    return "".join(f",{one}" for one in filters)


def _tone_mapped(transfer: str | None) -> list[str]:
    """Hable's curve, which keeps detail in highlights. What tags leave unsaid is said here."""
    said = f"tin={transfer}:pin=2020:min=2020_ncl"
    return [
        f"zscale={said}:t=linear:npl={_WHITE_NITS}",
        "format=gbrpf32le",
        "zscale=p=709",
        "tonemap=hable:desat=0",
        "zscale=t=709:m=709:p=709:r=limited",
    ]
