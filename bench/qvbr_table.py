"""What each QVBR level of the MediaConvert stand-in gives on real clips.

    python -m bench.qvbr_table FOLDER [--codec h264|h265|av1] [--seconds 4] [--levels 1,2,...]

Prints one line per level: rate factor, mean SSIM over the clips, the lowest clip's SSIM, bits per
pixel, and kbit/s at 1920x1080 and 30 frames/s with the same bits per pixel. The encodes use the
settings of an uncapped SINGLE_PASS_HQ job, so this is what the level does, not what a cap does.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import av
import imageio_ffmpeg

from slimreel.local.mediaconvert import qvbr
from slimreel.local.mediaconvert.video import PRESETS

_SSIM = re.compile(r"All:([0-9.]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    ssim_mean: float
    bits_per_pixel: float


def _encoder(codec: str, level: float) -> list[str]:
    if codec == "h264":
        return [
            "libx264",
            "-preset",
            PRESETS["H_264"]["SINGLE_PASS_HQ"],
            "-crf",
            str(qvbr.x264_crf(level)),
        ]
    if codec == "h265":
        return [
            "libx265",
            "-preset",
            PRESETS["H_265"]["SINGLE_PASS_HQ"],
            "-crf",
            str(qvbr.x265_crf(level)),
            "-x265-params",
            "log-level=error",
        ]
    return [
        "libsvtav1",
        "-preset",
        PRESETS["AV1"]["SINGLE_PASS_HQ"],
        "-crf",
        str(qvbr.svtav1_crf(level)),
    ]


def measure(clip: Path, *, codec: str, level: float, seconds: float) -> Measured:
    """Encode the first `seconds` of one clip at one level and compare it with what went in."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.mp4"
        argv = [
            imageio_ffmpeg.get_ffmpeg_exe(), "-v", "info", "-nostats", "-nostdin", "-y",
            "-t", str(seconds), "-i", f"file:{clip}",
            "-filter_complex", "[0:v:0]format=yuv420p,crop=trunc(iw/2)*2:trunc(ih/2)*2,"
            "split[enc][ref]", "-map", "[enc]", "-c:v", *_encoder(codec, level), f"file:{out}",
            "-dec", "0:0", "-filter_complex", "[dec:0][ref]ssim[q]", "-map", "[q]",
            "-f", "null", "-",
        ]  # fmt: skip
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        found = _SSIM.search(done.stderr)
        if found is None:
            raise RuntimeError(f"ffmpeg printed no SSIM for {clip.name}")
        return Measured(ssim_mean=float(found[1]), bits_per_pixel=_bits_per_pixel(out))


def _bits_per_pixel(path: Path) -> float:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        sizes = [packet.size for packet in container.demux(stream)]
        pixels = stream.codec_context.width * stream.codec_context.height
        return sum(sizes) * 8 / (pixels * sum(size > 0 for size in sizes))


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--codec", choices=("h264", "h265", "av1"), default="h264")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--levels", default="1,2,3,4,5,6,7,8,9,10")
    args = parser.parse_args(argv)
    clips = sorted(path for path in args.folder.iterdir() if path.is_file())
    print(f"{len(clips)} clips, first {args.seconds:g} s of each, {args.codec}")
    print("level  factor  SSIM mean  SSIM lowest  bits/pixel  kbit/s at 1080p30")
    for level in (float(part) for part in args.levels.split(",")):
        rows = [measure(c, codec=args.codec, level=level, seconds=args.seconds) for c in clips]
        bits = fmean(row.bits_per_pixel for row in rows)
        print(
            f"{level:5.2f}  {_encoder(args.codec, level)[4]:>6}  "
            f"{fmean(row.ssim_mean for row in rows):9.4f}  "
            f"{min(row.ssim_mean for row in rows):11.4f}  {bits:10.4f}  "
            f"{bits * 1920 * 1080 * 30 / 1000:17.0f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
