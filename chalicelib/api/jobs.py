"""Jobs over HTTP: list them, look at one, submit, cancel, retry, and revoke a link. Described in
docs/api.md.

Each is there twice, because a route of API Gateway has one authorizer: below `/jobs` for machines,
and below `/web/jobs` for people. Both are the same function.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from chalice.app import Blueprint, Request, Response

from chalicelib.api.access import Caller, Role, allowed, machines, people
from chalicelib.domain.control import BadRequest, CannotDo, NotAllowed, NotNow, UnknownJob
from chalicelib.domain.errors import Temporary
from chalicelib.domain.job import Job, Status
from chalicelib.domain.job_list import Asked, Sort, place
from chalicelib.domain.job_view import job_view, summary_view
from chalicelib.domain.keys import JOB_ID_LENGTH
from chalicelib.domain.s3_source import is_s3
from chalicelib.services import Services, services

log = logging.getLogger(__name__)
routes = Blueprint(__name__)

PAGE, LONGEST_PAGE = 25, 100
BODY_LIMIT_BYTES = 10_000
LONGEST_SEARCH = 100
_FILTERS = ("status", "workflow", "uploader", "since", "until", "min_saved_percent", "sort")
_JOB_ID = re.compile(rf"[0-9a-f]{{{JOB_ID_LENGTH}}}")
#: Drive ids are opaque; these are the characters and the lengths seen in them.
_FILE_ID = re.compile(r"[A-Za-z0-9_-]{10,128}")
_WORKFLOW = re.compile(r"[A-Za-z0-9_-]{1,80}")
_STATUS: Mapping[type, int] = {
    CannotDo: 400,
    NotAllowed: 403,
    UnknownJob: 404,
    NotNow: 409,
    Temporary: 503,
}
Fields = Mapping[str, type]


View = TypeVar("View", bound=Callable[..., Response])


def _route(path: str, method: str) -> Callable[[View], View]:
    """Register a view for machines and for people."""

    def register(view: View) -> View:
        routes.route(path, methods=[method], authorizer=machines)(view)
        routes.route(f"/web{path}", methods=[method], authorizer=people)(view)
        return view

    return register


@_route("/jobs", "GET")
def list_jobs() -> Response:
    return answered(
        Role.VIEWER, routes.current_request, lambda _: _list(_query(routes.current_request))
    )


@_route("/jobs", "POST")
def submit_job() -> Response:
    return answered(
        Role.OPERATOR, routes.current_request, lambda who: _submit(who, routes.current_request)
    )


@_route("/jobs/{job_id}", "GET")
def get_job(job_id: str) -> Response:
    return answered(
        Role.VIEWER, routes.current_request, lambda _: (200, _view(services(), found(job_id)))
    )


@_route("/jobs/{job_id}/cancel", "POST")
def cancel_job(job_id: str) -> Response:
    return answered(
        Role.OPERATOR,
        routes.current_request,
        lambda who: _cancel(who, job_id, routes.current_request),
    )


@_route("/jobs/{job_id}/retry", "POST")
def retry_job(job_id: str) -> Response:
    return answered(
        Role.OPERATOR,
        routes.current_request,
        lambda who: _retry(who, job_id, routes.current_request),
    )


@_route("/jobs/{job_id}/revoke", "POST")
def revoke_link(job_id: str) -> Response:
    return answered(
        Role.ADMIN, routes.current_request, lambda who: _revoke(who, job_id, routes.current_request)
    )


def _list(query: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    unknown = query.keys() - {*_FILTERS, "limit", "page", "search"}
    if unknown:
        known = ", ".join((*_FILTERS, "search", "limit"))
        raise BadRequest(f"A list can be asked for by {known} and page only.")
    asked, limit, token = _asked(query), _limit(query.get("limit")), query.get("page")
    catalogue = services().catalogue
    if "search" in query:
        text = query["search"][:LONGEST_SEARCH]
        jobs, last = catalogue.search(text, asked, limit=limit, after=_word_place(token))
        next_page = base64.urlsafe_b64encode(last.encode()).decode() if last else None
    else:
        after = place(token, asked.sort) if token else None
        jobs, end = catalogue.list_jobs(asked, limit=limit, after=after)
        next_page = end.token() if end else None
    return 200, {"jobs": [summary_view(job) for job in jobs], "next_page": next_page}


def _asked(query: Mapping[str, str]) -> Asked:
    return Asked(
        status=_status(query.get("status")),
        workflow=_workflow(query.get("workflow")),
        uploader=query.get("uploader", "").strip() or None,
        since=_day("since", query.get("since")),
        until=_day("until", query.get("until")),
        min_saved_percent=_percent(query.get("min_saved_percent")),
        sort=_sort(query.get("sort")),
    )


def _submit(who: Caller, request: Request) -> tuple[int, dict[str, Any]]:
    from chalicelib.steps.submit import submit

    asked = _body(request, {"file_id": str, "workflow": str, "preset": str, "callback_url": str})
    file_id = asked.get("file_id")
    if file_id is None:
        raise BadRequest("Say which file: file_id, a file's id in Google Drive or s3://bucket/key.")
    if not is_s3(file_id) and not _FILE_ID.fullmatch(file_id):
        raise BadRequest(
            "file_id is not the id of a file in Google Drive: letters, digits, - and _, as after "
            "/d/ in the file's web address; nor s3://bucket/key."
        )
    job, is_new = submit(
        services(),
        file_id,
        by=who.name,
        workflow_name=asked.get("workflow"),
        preset=asked.get("preset"),
        callback_url=asked.get("callback_url"),
    )
    return (201 if is_new else 200), _view(services(), job)


def _cancel(who: Caller, job_id: str, request: Request) -> tuple[int, dict[str, Any]]:
    from chalicelib.steps.cancel import cancel

    _body(request, {})
    return 200, _view(services(), cancel(services(), _known(job_id), by=who.name))


def _retry(who: Caller, job_id: str, request: Request) -> tuple[int, dict[str, Any]]:
    from chalicelib.steps.retry import retry

    asked = _body(request, {"preset": str, "force": bool, "after_run": int})
    job = retry(
        services(),
        _known(job_id),
        by=who.name,
        preset=asked.get("preset"),
        force=asked.get("force", False),
        after_run=asked.get("after_run"),
    )
    return 202, _view(services(), job)


def _revoke(who: Caller, job_id: str, request: Request) -> tuple[int, dict[str, Any]]:
    from chalicelib.steps.revoke import revoke

    _body(request, {})
    return 200, _view(services(), revoke(services(), _known(job_id), by=who.name))


def answered(
    needed: Role, request: Request, work: Callable[[Caller], tuple[int, dict[str, Any]]]
) -> Response:
    """What `work` gives for a caller who may have it, or why not, in words for people."""
    headers = {"Cache-Control": "no-store"}
    try:
        client_id = services().settings.sign_in_client_id
        status, body = work(allowed(request, needed, client_id=client_id))
    except (CannotDo, Temporary) as problem:
        status = next(_STATUS[kind] for kind in type(problem).__mro__ if kind in _STATUS)
        body = {"message": str(problem)}
        if isinstance(problem, Temporary):
            headers["Retry-After"] = "30"
    return Response(body, status_code=status, headers=headers)


def _known(job_id: str) -> str:
    if not _JOB_ID.fullmatch(job_id):
        raise UnknownJob(job_id)
    return job_id


def found(job_id: str) -> Job:
    job = services().records.get(_known(job_id))
    if job is None:
        raise UnknownJob(job_id)
    return job


def _view(reach: Services, job: Job) -> dict[str, Any]:
    link = reach.link_to(job)
    published = job.published_key is not None
    return job_view(job, link=link if published else None, row_url=row_url(reach, job))


def row_url(reach: Services, job: Job) -> str | None:
    """Where a person sees the job's row; None where there is none."""
    from chalicelib.adapters.airtable import Airtable

    if job.row_id is None or not reach.settings.airtable_base_id:
        return None
    table = Airtable(
        token="",  # an address takes none
        api_url=reach.settings.airtable_api_url,
        base_id=reach.settings.airtable_base_id,
        table=reach.settings.airtable_table,
    )
    return table.row_url(job.row_id)


def _query(request: Request) -> Mapping[str, str]:
    return dict(request.query_params or {})


def _limit(given: str | None) -> int:
    if given is None:
        return PAGE
    if not re.fullmatch(r"[0-9]{1,3}", given) or not 1 <= int(given) <= LONGEST_PAGE:
        raise BadRequest(f"limit is a number from 1 to {LONGEST_PAGE}.")
    return int(given)


def _status(given: str | None) -> Status | None:
    if given is None:
        return None
    for status in Status:
        if status.value.lower() == given.lower():
            return status
    known = ", ".join(status.value for status in Status)
    raise BadRequest(f"There is no status {given[:40]!r}; choose {known}.")


def _sort(given: str | None) -> Sort:
    if given is not None and given not in list(Sort):
        raise BadRequest(f"sort is one of {', '.join(Sort)}.")
    return Sort(given) if given else Sort.NEWEST


def _day(name: str, given: str | None) -> str | None:
    if given is not None and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", given):
        raise BadRequest(f"{name} is a day of UTC, such as 2026-05-04.")
    return given


def _percent(given: str | None) -> float | None:
    if given is not None and not re.fullmatch(r"[0-9]{1,3}", given):
        raise BadRequest("min_saved_percent is a whole number.")
    return float(given) if given else None


def _word_place(token: str | None) -> str | None:
    if token is None:
        return None
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as problem:
        raise BadRequest("The page token is not one this list gave out.") from problem


def _workflow(given: str | None) -> str | None:
    if given is not None and not _WORKFLOW.fullmatch(given):
        raise BadRequest("workflow is not the name of a workflow.")
    return given


def _body(request: Request, fields: Fields) -> dict[str, Any]:
    """The JSON object in the body, none being an empty one, with these fields and no others."""
    raw = request.raw_body
    if len(raw) > BODY_LIMIT_BYTES:
        raise BadRequest(f"The body is longer than {BODY_LIMIT_BYTES} bytes.")
    try:
        body = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError) as problem:
        raise BadRequest("The body is not JSON.") from problem
    if not isinstance(body, dict):
        raise BadRequest("The body is not a JSON object.")
    unknown = sorted(str(name)[:40] for name in body.keys() - fields.keys())
    if unknown:
        known = ", ".join(fields) or "nothing"
        raise BadRequest(f"Unknown: {', '.join(unknown)}. There is {known}.")
    for name, value in body.items():
        if value is not None and type(value) is not fields[name]:
            raise BadRequest(f"{name} is not {_WORDS[fields[name]]}.")
    return {name: value for name, value in body.items() if value is not None}


_WORDS = {str: "a text", bool: "true or false", int: "a whole number"}
