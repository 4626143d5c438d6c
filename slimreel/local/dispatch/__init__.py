"""What calls functions without being asked: events, schedules and queues."""

from slimreel.local.dispatch.dispatcher import Dispatcher

__all__ = ["Dispatcher"]
