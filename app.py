"""Slimreel's triggers, all on one screen. Each parses, hands over, returns.

A trigger's function name is its Lambda handler (`app.<name>`), so the work is called from
`chalicelib` and never imported under a trigger's name.
"""

from __future__ import annotations

from typing import Any

from chalice.app import Chalice, CloudWatchEvent, Rate, Response, SQSEvent

from chalicelib import triggers
from chalicelib.api import folders, jobs, notifications, pages, table_changes, videos, web

app = Chalice(app_name="slimreel", configure_logs=False)
app.api.cors = False
app.register_blueprint(folders.routes)  # what a backfill would take: machines
app.register_blueprint(jobs.routes)  # list, look at, submit, cancel, retry: machines and people
app.register_blueprint(web.routes)  # what the pages show beside that, for people
app.register_blueprint(pages.routes)  # the pages themselves


# From outside, over HTTP. Each of these is public and checks its caller itself.
@app.route("/drive/notifications", methods=["POST"], content_types=triggers.ANY_CONTENT_TYPE)
def drive_notification() -> Response:
    return notifications.receive(app.current_request.headers)


@app.route("/airtable/notifications", methods=["POST"], content_types=triggers.ANY_CONTENT_TYPE)
def table_changed() -> Response:
    request = app.current_request
    return table_changes.receive(request.headers, request.raw_body)


@app.route("/v/{job_id}", methods=["GET"])
def video(job_id: str) -> Response:
    return videos.open_link(job_id, (app.current_request.query_params or {}).get("s", ""))


@app.route("/health", methods=["GET"])
def health() -> dict[str, str]:
    return {"status": "ok"}


# Queues.
@app.on_sqs_message(queue="drive-events", batch_size=10)
def drive_changed(event: SQSEvent) -> dict[str, Any]:
    return triggers.drive_changed(event.to_dict())


@app.on_sqs_message(queue="rows.fifo", batch_size=10)
def rows_changed(event: SQSEvent) -> dict[str, Any]:
    return triggers.rows_changed(event.to_dict())


# What AWS tells us.
@app.on_cw_event({"source": ["aws.mediaconvert"], "detail-type": ["MediaConvert Job State Change"]})
def encode_changed(event: CloudWatchEvent) -> None:
    triggers.encode_changed(event.to_dict())


@app.on_cw_event(
    {"source": ["aws.states"], "detail-type": ["Step Functions Execution Status Change"]}
)
def execution_ended(event: CloudWatchEvent) -> None:
    triggers.execution_ended(event.to_dict())


# Schedules: what was missed comes back.
@app.schedule(Rate(15, unit=Rate.MINUTES))
def sweep_drive(event: CloudWatchEvent) -> None:
    triggers.sweep_drive()


@app.schedule(Rate(6, unit=Rate.HOURS))
def renew_channel(event: CloudWatchEvent) -> None:
    triggers.renew_channel()


@app.schedule(Rate(5, unit=Rate.MINUTES))
def reconcile_jobs(event: CloudWatchEvent) -> None:
    triggers.reconcile_jobs(event.to_dict())


@app.schedule(Rate(10, unit=Rate.MINUTES))
def requeue_rows(event: CloudWatchEvent) -> None:
    triggers.requeue_rows()


# The steps of the flows in workflows/*.asl.json.
@app.lambda_function(name="register")
def register(event: Any, context: Any) -> dict[str, Any]:
    return triggers.step("register", event, context)


@app.lambda_function(name="fetch")
def fetch(event: Any, context: Any) -> dict[str, Any]:
    return triggers.step("fetch", event, context)


@app.lambda_function(name="inspect")
def inspect(event: Any, context: Any) -> dict[str, Any]:
    return triggers.step("inspect", event, context)


@app.lambda_function(name="plan")
def plan(event: Any, context: Any) -> dict[str, Any]:
    return triggers.step("plan", event, context)


@app.lambda_function(name="budget")
def budget(event: Any, context: Any) -> dict[str, Any]:
    return triggers.step("budget", event, context)


@app.lambda_function(name="encode")
def encode(event: Any, context: Any) -> dict[str, Any]:
    return triggers.step("encode", event, context)


@app.lambda_function(name="choose")
def choose(event: Any, context: Any) -> dict[str, Any]:
    return triggers.step("choose", event, context)


@app.lambda_function(name="restore")
def restore(event: Any, context: Any) -> dict[str, Any]:
    return triggers.step("restore", event, context)


@app.lambda_function(name="measure")
def measure(event: Any, context: Any) -> dict[str, Any]:
    return triggers.step("measure", event, context)


@app.lambda_function(name="verify")
def verify(event: Any, context: Any) -> dict[str, Any]:
    return triggers.step("verify", event, context)


@app.lambda_function(name="publish")
def publish(event: Any, context: Any) -> dict[str, Any]:
    return triggers.step("publish", event, context)


@app.lambda_function(name="write_back")
def write_back(event: Any, context: Any) -> dict[str, Any]:
    return triggers.step("write_back", event, context)


@app.lambda_function(name="announce")
def announce(event: Any, context: Any) -> dict[str, Any]:
    return triggers.step("announce", event, context)


@app.lambda_function(name="fail")
def fail(event: Any, context: Any) -> dict[str, Any]:
    return triggers.step("fail", event, context)
