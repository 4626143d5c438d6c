"""Compare a result with its source by ffmpeg, independently of the encoder, a bit at a time."""

from chalicelib.measuring.measure import Progress, Sampling, measure
from chalicelib.measuring.workbench import Clip

__all__ = ["Clip", "Progress", "Sampling", "measure"]
