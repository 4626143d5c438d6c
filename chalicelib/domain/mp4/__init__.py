"""Metadata of MP4 and MOV files: read it, and put it into another MP4 without the film's bytes."""

from .beside import Beside
from .boxes import MOOV_LIMIT_BYTES, Mp4Error, Read
from .metadata import Entry, MovieMetadata, TrackMetadata
from .parts import Copy, Upload, parts
from .reading import MARK, is_standard_name, read_metadata
from .rewriting import Rewrite, rewrite_head, writer_entry
from .samples import Pictures, Survey, pictures, survey

__all__ = [
    "MARK",
    "MOOV_LIMIT_BYTES",
    "Beside",
    "Copy",
    "Entry",
    "MovieMetadata",
    "Mp4Error",
    "Pictures",
    "Read",
    "Rewrite",
    "Survey",
    "TrackMetadata",
    "Upload",
    "is_standard_name",
    "parts",
    "pictures",
    "read_metadata",
    "rewrite_head",
    "survey",
    "writer_entry",
]
