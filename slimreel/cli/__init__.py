"""Commands that ask a running Slimreel, here or in AWS, over its HTTP API: one verb a file.

Exit status of each: 0 done; 1 the job ended without a result, or failed or was cancelled; 2 it
could not be asked or done, and the message says what to do.
"""

from __future__ import annotations

import argparse

from slimreel.cli import backfill, cancel, list_jobs, logs, open_job, retry, revoke, status, submit

Commands = argparse._SubParsersAction  # argparse has no public name for it


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add one command a verb."""
    verbs = (status, list_jobs, submit, backfill, retry, cancel, revoke, open_job, logs)
    for verb in verbs:
        verb.add(commands)
