"""The permanent signed link to a result: `/v/<job>?s=<signature>`."""

from __future__ import annotations

from chalice.app import Response

from chalicelib.domain.keys import download_name
from chalicelib.domain.link import number_of
from chalicelib.services import services

#: Long enough to watch a film, short enough that a copied address soon dies.
PRESIGNED_S = 6 * 3600
_KEPT_NOWHERE = {"Cache-Control": "no-store"}


def open_link(job_id: str, given: str) -> Response:
    """Redirect to a fresh presigned URL; the same 404 for every wrong link."""
    reach = services()
    number = number_of(job_id, given, reach.link_key)
    if number is None:
        return _not_found()
    job = reach.records.get(job_id)
    if job is None or number != job.link_number:
        return _not_found()
    if job.result_deleted is not None:
        return Response({"message": job.result_deleted}, status_code=410, headers=_KEPT_NOWHERE)
    if job.published_key is None:
        return _not_found()
    url = reach.storage.presigned_url(
        reach.settings.compressed_bucket,
        job.published_key,
        expires_s=PRESIGNED_S,
        file_name=download_name(job.file_name, job.published_key),
    )
    return Response("", status_code=302, headers={"Location": url, **_KEPT_NOWHERE})


def _not_found() -> Response:
    return Response({"message": "There is no video at this address."}, status_code=404)
