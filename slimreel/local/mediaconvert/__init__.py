"""AWS Elemental MediaConvert on a laptop: its REST API, its rules, its events, and ffmpeg.

Needs nothing of the rest of Slimreel but the fault switch and `chalicelib.adapters.confine`. See
docs/mediaconvert-stand-in.md for what it matches and what it approximates.
"""

from slimreel.local.mediaconvert.service import MediaConvert
from slimreel.local.mediaconvert.work import ObjectStore

__all__ = ["MediaConvert", "ObjectStore"]
