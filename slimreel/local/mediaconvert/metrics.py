"""Per-frame metrics: ffmpeg's logs in, MediaConvert's CSV files out.

Source of the layout:
https://docs.aws.amazon.com/mediaconvert/latest/ug/per-frame-metrics-enable.html
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from slimreel.local.mediaconvert import qvbr, render
from slimreel.local.mediaconvert.video import VideoPlan

_SSIM = re.compile(r"\bAll:(\S+)")
_PSNR = re.compile(r"\bpsnr_avg:(\S+)")
_VSTATS_Q = re.compile(r"\bq=\s*([-0-9.]+)")

#: AWS's sample prints PSNR with two decimals; for the others six is what public consumers expect.
_DECIMALS = {"PSNR": 2, "PSNR_HVS": 2, "QVBR": 2}
_VMAF_COLUMNS = {"VMAF": "vmaf", "MS_SSIM": "float_ms_ssim", "PSNR_HVS": "psnr_hvs"}

#: What an identical frame gets, where decibels would be infinite (AWS's PSNR sample says 100.00).
_MAX_DB = 100.0


def read(metric: str, folder: Path, video: VideoPlan, shown_at: Sequence[int]) -> list[float]:
    """One value per output frame, in display order.

    SSIM and PSNR weigh all planes as ffmpeg does ("All", "psnr_avg"). Which planes the service
    takes is not documented.
    """
    if metric == "SSIM":
        return _lines(folder / render.SSIM_LOG, _SSIM)
    if metric == "PSNR":
        return _lines(folder / render.PSNR_LOG, _PSNR)
    if metric == "QVBR":
        return qvbr_scores(folder / render.VSTATS, video, shown_at)
    with (folder / render.VMAF_LOG).open(newline="") as file:
        column = _VMAF_COLUMNS[metric]
        return [_finite(float(row[column])) for row in csv.DictReader(file)]


def _lines(path: Path, pattern: re.Pattern[str]) -> list[float]:
    return [_finite(float(value)) for value in pattern.findall(path.read_text())]


def _finite(value: float) -> float:
    return value if math.isfinite(value) else _MAX_DB


def qvbr_scores(vstats: Path, video: VideoPlan, shown_at: Sequence[int]) -> list[float]:
    """Approximate QVBR scores from the quantizer of each frame.

    Quantizers swing with the frame type, so each frame is judged by the mean over the second
    around it. ffmpeg logs packets in coding order; their time stamps (`shown_at`) put them in
    display order.
    """
    assert video.qvbr_level is not None
    coded = [float(value) for value in _VSTATS_Q.findall(vstats.read_text())]
    shown = [q for _, q in sorted(zip(shown_at, coded, strict=False))]
    reach = max(1, round(video.rate / 2))
    smooth = [fmean(shown[max(0, n - reach) : n + reach + 1]) for n in range(len(shown))]
    aim = video.crf if video.crf is not None else qvbr.x264_crf(video.qvbr_level)
    return [qvbr.score_of(q, crf=aim, level=video.qvbr_level) for q in smooth]


def as_csv(metric: str, values: Sequence[float]) -> str:
    """The file's text: a header, a row per frame from 0, then three lines that are no rows."""
    places = _DECIMALS.get(metric, 6)
    rows = "".join(f"{n},{value:.{places}f}\n" for n, value in enumerate(values))
    return (
        f"Display_ID,Value\n{rows}Average: {fmean(values):.{places}f}\n"
        f"Min: {min(values):.{places}f}\nMax: {max(values):.{places}f}\n"
    )
