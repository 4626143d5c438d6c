"""Notify: the email for the state a job is in, once per job, run and kind."""

from __future__ import annotations

from chalicelib.config import all_workflows, price_table
from chalicelib.domain.job import Job
from chalicelib.domain.link import video_link
from chalicelib.domain.notice import notice
from chalicelib.services import Services
from chalicelib.steps import ledger


def notify(services: Services, job: Job) -> Job:
    """Send the email unless it was sent or the workflow does not want this kind.

    It is marked as sent right after SNS took it, so a second one goes out only when the process
    dies between those two lines.
    """
    at = (services.settings.public_url, job.job_id, services.link_key, job.link_number)
    link = video_link(*at)
    message = notice(job, link=link, prices=price_table())
    wanted = all_workflows()[job.workflow].notify_kinds
    if message is None or message.kind not in wanted:
        return job
    mark = f"{job.run}:{message.kind}"
    if mark in job.notices_sent:
        return job
    services.topic.publish(message)
    return ledger.write(
        services, job, row=False, ended_too=True, notices_sent=(*job.notices_sent, mark)
    )
