"""Names we give to things: job ids, execution names and S3 keys.

A file name that a person chose never becomes an S3 key, a path or an execution name; what is
readable in a published key is a slug of it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

JOB_ID_LENGTH = 20
_EXECUTION = re.compile(rf"([0-9a-f]{{{JOB_ID_LENGTH}}})-([0-9]+)")


def job_id(workflow: str, file_id: str, version_key: str) -> str:
    """The id of the one job for this content of this file in this workflow.

    Args:
        file_id: Drive's, or `s3://bucket/key`.
    """
    kind = "s3" if file_id.startswith("s3://") else "drive"
    identity = "\n".join((kind, file_id, version_key, workflow))
    return hashlib.sha256(identity.encode()).hexdigest()[:JOB_ID_LENGTH]


def execution_name(job_id: str, run: int) -> str:
    return f"{job_id}-{run}"


def job_and_run(execution: str) -> tuple[str, int] | None:
    """The job id and run in an execution name, or None where it is not one of ours."""
    found = _EXECUTION.fullmatch(execution)
    return (found[1], int(found[2])) if found else None


def job_prefix(job_id: str) -> str:
    """Where a job keeps everything temporary, in the temp bucket."""
    return f"jobs/{job_id}/"


def source_key(job_id: str, file_name: str, run: int = 1) -> str:
    """A run's copy of the source. The extension is kept because encoders look at it."""
    extension = re.search(r"\.([A-Za-z0-9]{1,5})$", file_name)
    folder = f"r{run}/" if run > 1 else ""
    return f"{job_prefix(job_id)}{folder}source{'.' + extension[1].lower() if extension else ''}"


def attempt_prefix(job_id: str, attempt: int) -> str:
    return f"{job_prefix(job_id)}a{attempt}/"


def encoded_key(job_id: str, attempt: int) -> str:
    """What MediaConvert writes."""
    return f"{attempt_prefix(job_id, attempt)}encoded.mp4"


def metric_key(job_id: str, attempt: int, metric: str) -> str:
    """The per-frame metric beside it.

    Source: https://docs.aws.amazon.com/mediaconvert/latest/ug/per-frame-metrics-enable.html
    """
    return f"{attempt_prefix(job_id, attempt)}encoded_{metric}.csv"


def samples_url_key(job_id: str, attempt: int) -> str:
    """What the names of a search's outputs begin with; each level's modifier follows."""
    return f"{attempt_prefix(job_id, attempt)}samples"


def sample_key(job_id: str, attempt: int, modifier: str) -> str:
    """A search's samples at one level."""
    return f"{samples_url_key(job_id, attempt)}{modifier}.mp4"


def sample_metric_key(job_id: str, attempt: int, modifier: str, metric: str) -> str:
    """The per-frame metric beside it."""
    return f"{samples_url_key(job_id, attempt)}{modifier}_{metric}.csv"


def restored_key(job_id: str, attempt: int) -> str:
    """The encoded file with the source's metadata put back."""
    return f"{attempt_prefix(job_id, attempt)}restored.mp4"


def measurement_key(job_id: str, attempt: int) -> str:
    """The state of the independent measurement, so that it can go on in a next invocation."""
    return f"{attempt_prefix(job_id, attempt)}measurement.json"


def published_key(workflow: str, job_id: str, file_name: str, extension: str, run: int = 1) -> str:
    """Where the rendition ends up, in the compressed bucket. Unique per job and run, and never the
    beginning of another.
    """
    folder = f"{job_id}.{run}" if run > 1 else job_id
    return f"{workflow}/{folder}/{slug(file_name)}{extension}"


def extension(file_name: str) -> str:
    """`.mov` of `Take 3.MOV`; empty where there is none worth keeping."""
    found = re.search(r"\.[A-Za-z0-9]{1,5}$", file_name)
    return found[0].lower() if found else ""


def download_name(file_name: str, published_key: str) -> str:
    """What a download is called: the dropped name, with the extension of what was published.

    >>> download_name("Take 3.MOV", "compress/0123/Take-3.mp4")
    'Take 3.mp4'
    """
    own, published = extension(file_name), extension(published_key)
    return file_name if own == published else file_name[: len(file_name) - len(own)] + published


def slug(file_name: str) -> str:
    """A short ASCII name made of letters, digits, dashes and underscores.

    >>> slug("Über – Szene 4 (final).mov")
    'Uber-Szene-4-final'
    """
    stem = re.sub(r"\.[A-Za-z0-9]{1,5}$", "", file_name)
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-_")
    return words[:60].rstrip("-_") or "video"
