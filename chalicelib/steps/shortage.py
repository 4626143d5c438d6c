"""Shortage: a day's allowance is used up, and the flow tries again every hour.

Meanwhile the row says what the video waits for, so that nobody takes it for stuck.
"""

from __future__ import annotations

from typing import Any

from chalicelib.domain.errors import Exhausted
from chalicelib.domain.job import Job
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import Step, StepCall

WORDS = "Waiting, and trying again every hour: "


def said(run: Step, services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    """Run a step. Raises: what the step raises."""
    try:
        answer = run(services, job, call)
    except Exhausted as shortage:
        waiting = f"{WORDS}{shortage}"
        if job.waiting != waiting:
            ledger.write(services, job, waiting=waiting)
        raise
    if job.waiting is not None and job.waiting.startswith(WORDS):
        ledger.write(services, job, waiting=None)
    return answer
