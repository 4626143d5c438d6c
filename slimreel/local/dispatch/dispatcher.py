"""Everything that starts functions by itself, composed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from werkzeug.wrappers import Response

from slimreel.local.awslambda import AwsLambda
from slimreel.local.awslambda.mappings import Mapping
from slimreel.local.background import Background
from slimreel.local.dispatch.clockwork import Clockwork, refusal_of_schedule
from slimreel.local.dispatch.deliver import Deliver
from slimreel.local.dispatch.events import Bus
from slimreel.local.dispatch.poller import Poller
from slimreel.local.dispatch.rules import Envelope, Rules
from slimreel.local.faults import Faults
from slimreel.local.front import Front
from slimreel.local.moto_app import AwsCall, Moto

_RULE_CHANGES = frozenset({"PutRule", "DeleteRule", "EnableRule", "DisableRule"})


class Dispatcher:
    """EventBridge rules, schedules and SQS event source mappings of one cloud."""

    def __init__(
        self,
        *,
        moto: Moto,
        front: Front,
        awslambda: AwsLambda,
        client: Callable[[str], Any],
        deliver: Deliver,
        faults: Faults,
        schedule_speed: float = 1.0,
    ) -> None:
        self._moto = moto
        self._lambda = awslambda
        self._client = client
        self._background = Background()
        rules = Rules(moto)
        self._bus = Bus(
            rules=rules,
            awslambda=awslambda,
            deliver=deliver,
            background=self._background,
            faults=faults,
        )
        self._clockwork = Clockwork(rules, self._bus.send, speed=schedule_speed)
        self._pollers: dict[str, Poller] = {}
        self._pollers_lock = threading.Lock()
        moto.observe("events", self._notice_rules)
        front.intercept("events", "PutEvents", self._bus.handle_put_events)
        front.intercept("events", "PutRule", self._put_rule)
        awslambda.mappings.changed = self._follow_mappings

    def start(self) -> None:
        self._clockwork.start()
        self._follow_mappings()

    def put_event(self, envelope: Envelope) -> None:
        """Send an event to the default bus; returns at once. Missing envelope keys are added."""
        self._bus.put_event(envelope)

    def fire(self, rule_name: str) -> None:
        """Send a scheduled rule's event now.

        Raises:
            KeyError: there is no such rule.
        """
        self._clockwork.fire(rule_name)

    def close(self, *, wake: Callable[[], None] = lambda: None) -> None:
        """Start nothing more, and wait for what runs.

        Args:
            wake: ends the long polls that the pollers wait in.
        """
        self._clockwork.close()
        with self._pollers_lock:
            for poller in self._pollers.values():
                poller.stop()
        wake()
        self._background.close()

    def _put_rule(self, call: AwsCall) -> Response:
        return refusal_of_schedule(call) or self._moto.call(call)

    def _notice_rules(self, call: AwsCall, _: Response) -> None:
        if call.operation in _RULE_CHANGES:
            self._clockwork.rules_changed()

    def _follow_mappings(self) -> None:
        """Start, restart and stop pollers until they are those of the enabled mappings."""
        enabled = {one["UUID"]: one for one in self._lambda.mappings.all() if _is_enabled(one)}
        with self._pollers_lock:
            for mapping_id, poller in list(self._pollers.items()):
                if enabled.get(mapping_id) != poller.mapping:
                    poller.stop()
                    del self._pollers[mapping_id]
            for mapping_id, mapping in enabled.items():
                if mapping_id not in self._pollers:
                    poller = Poller(
                        mapping,
                        awslambda=self._lambda,
                        client=self._client,
                        background=self._background,
                    )
                    self._pollers[mapping_id] = poller
                    poller.start()


def _is_enabled(mapping: Mapping) -> bool:
    return bool(mapping["State"] == "Enabled")
