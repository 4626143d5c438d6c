"""One invocation of a step."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.domain.job import Job
from chalicelib.services import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCall:
    """The flow's state as it was handed over, and the time the step may take."""

    state: Mapping[str, Any]
    deadline: float  # of time.monotonic()

    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()


Step = Callable[[Services, Job, StepCall], dict[str, Any]]
