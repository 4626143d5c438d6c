"""What the pages show beside jobs: who is signed in, what goes on, the flows, films, figures.
Described in docs/api.md."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary

from chalice.app import Blueprint, Response

from chalicelib.api.access import Caller, Role, people
from chalicelib.api.jobs import answered, found, row_url
from chalicelib.config import all_presets, all_workflows, flow, price_table
from chalicelib.domain import graph, keys
from chalicelib.domain.codec import to_plain
from chalicelib.domain.control import BadRequest
from chalicelib.domain.curves import curves
from chalicelib.domain.job import Job
from chalicelib.domain.job_list import Asked
from chalicelib.domain.savings import savings
from chalicelib.domain.text import iso
from chalicelib.services import Services, services

routes = Blueprint(__name__)

#: Many who look at once cost one look.
REMEMBERED_S = 2.0
#: Open jobs that are told of one by one; the counts are of all.
MOST_SHOWN = 300
MOST_DAYS = 366
#: Long enough for a film to be watched to its end.
FILM_S = 6 * 3600
_looks: WeakKeyDictionary[Services, tuple[float, dict[str, Any]]] = WeakKeyDictionary()


@routes.route("/web/me", methods=["GET"], authorizer=people)
def me() -> Response:
    return answered(Role.VIEWER, routes.current_request, lambda who: (200, _me(who)))


@routes.route("/web/now", methods=["GET"], authorizer=people)
def now() -> Response:
    """What is under way. Asked again and again, so it answers 304 while nothing has changed."""
    request = routes.current_request
    given = request.headers.get("if-none-match", "")
    answer = answered(Role.VIEWER, request, lambda _: (200, _now(services())))
    if answer.status_code != 200:
        return answer
    answer.headers |= {"ETag": _tag(answer.body), "Cache-Control": "private, no-cache"}
    if answer.headers["ETag"] in given:
        answer.body, answer.status_code = "", 304
    return answer


@routes.route("/web/workflows", methods=["GET"], authorizer=people)
def workflows() -> Response:
    return answered(Role.VIEWER, routes.current_request, lambda _: (200, _workflows()))


@routes.route("/web/savings", methods=["GET"], authorizer=people)
def money() -> Response:
    request = routes.current_request
    query = dict(request.query_params or {})
    return answered(Role.VIEWER, request, lambda _: (200, _savings(services(), query)))


@routes.route("/web/jobs/{job_id}/details", methods=["GET"], authorizer=people)
def details(job_id: str) -> Response:
    """What one video's page shows beside the job: its films, curves and row."""
    return answered(
        Role.VIEWER, routes.current_request, lambda _: (200, _details(services(), found(job_id)))
    )


@routes.route("/web/jobs/{job_id}/path", methods=["GET"], authorizer=people)
def path(job_id: str) -> Response:
    request = routes.current_request
    run = (request.query_params or {}).get("run")
    return answered(Role.VIEWER, request, lambda _: (200, _path(services(), found(job_id), run)))


def _me(who: Caller) -> dict[str, Any]:
    assert who.role is not None
    return {
        "name": who.name,
        "role": who.role.name.lower(),
        "presets": list(all_presets()),
        "workflows": list(all_workflows()),
    }


def _now(reach: Services) -> dict[str, Any]:
    at, looked = _looks.get(reach, (0.0, None))
    if looked is None or time.monotonic() - at > REMEMBERED_S:
        jobs = reach.catalogue.under_way()
        counts: dict[str, Counter[str]] = {}
        for job in jobs:
            step = "sample" if job.step == "encode" and job.searching else job.step or "waiting"
            counts.setdefault(job.workflow, Counter())[step] += 1
        newest, _ = reach.catalogue.list_jobs(Asked(), limit=1)
        shown = [{"searching": None, **to_plain(job)} for job in jobs[-MOST_SHOWN:]]
        looked = {
            "open": len(jobs),
            "counts": {name: dict(sorted(steps.items())) for name, steps in counts.items()},
            "jobs": shown[::-1],
            # A short film may come and go between two looks, and is to be listed all the same.
            "newest": f"{newest[0].job_id} {newest[0].status}" if newest else None,
        }
        _looks[reach] = time.monotonic(), looked
    return looked


def _tag(body: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return f'"{digest[:32]}"'


def _workflows() -> dict[str, Any]:
    return {
        "workflows": [
            {
                "name": name,
                "preset": workflow.preset,
                "about": flow(name).get("Comment"),
                "graph": to_plain(graph.graph(flow(name))),
            }
            for name, workflow in all_workflows().items()
        ]
    }


def _savings(reach: Services, query: Mapping[str, str]) -> dict[str, Any]:
    unknown = query.keys() - {"days"}
    given = query.get("days", "90")
    if unknown or not re.fullmatch(r"[0-9]{1,3}", given) or not 1 <= int(given) <= MOST_DAYS:
        raise BadRequest(f"Figures can be asked for by days only, from 1 to {MOST_DAYS}.")
    today = reach.now().date()
    since = (today - timedelta(days=int(given) - 1)).isoformat()
    tallies = reach.catalogue.tallies(since, today.isoformat())
    return savings(tallies, price_table(), since=since, until=today.isoformat())


def _details(reach: Services, job: Job) -> dict[str, Any]:
    return {**curves(job), "films": _films(reach, job), "row_url": row_url(reach, job)}


def _films(reach: Services, job: Job) -> dict[str, Any]:
    """Addresses of the two films, good for some hours. Nothing is looked into."""
    stage = reach.settings
    original = result = None
    if job.source_key and reach.storage.exists(stage.temp_bucket, job.source_key):
        url = reach.storage.presigned_url(
            stage.temp_bucket, job.source_key, expires_s=FILM_S, file_name=job.file_name
        )
        original = {"url": url, "size_bytes": job.size_bytes}
    if job.published_key:
        url = reach.storage.presigned_url(
            stage.compressed_bucket,
            job.published_key,
            expires_s=FILM_S,
            file_name=keys.download_name(job.file_name, job.published_key),
        )
        result = {"url": url, "size_bytes": job.published_size_bytes}
    return {"original": original, "result": result, "keeps_originals": stage.keep_originals}


def _path(reach: Services, job: Job, run: str | None) -> dict[str, Any]:
    """The way of a run through its flow: from its execution, or from the record once that is
    forgotten.
    """
    if run is not None and not re.fullmatch(r"[0-9]{1,4}", run):
        raise BadRequest("run is the number of a run.")
    number = int(run) if run else job.run
    events = reach.flows.history(job.workflow, keys.execution_name(job.job_id, number))
    if events is not None:
        visits = graph.visits(events)
    else:
        steps = [(moment.step, moment.at) for moment in job.timeline if moment.run == number]
        ended_at = job.completed_at if number == job.run else None
        visits = graph.visits_of_steps(flow(job.workflow), steps, ended_at)
    return {
        "run": number,
        "workflow": job.workflow,
        "told_by": "execution" if events is not None else "record",
        "visits": [{"left_at": None, "error": None, **to_plain(visit)} for visit in visits],
        "at": iso(reach.now()),
    }
