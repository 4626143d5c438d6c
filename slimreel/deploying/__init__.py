"""From a checkout to an AWS account, and back out again: a thin layer over CloudFormation.

    package ─► artefact bucket ─► change set ─► shown, asked ─► executed, followed ─► what is next

What a stage is made of is known to CloudFormation alone; nothing about it is kept here but the
settings a person wrote into `stages/<stage>.toml`. So any of this may be interrupted, run again,
or gone on with from another machine.
"""

from __future__ import annotations


class CannotDeploy(Exception):
    """It was not done; the message says why and what to do next."""


def stack_name(stage: str) -> str:
    """The stack of a stage."""
    return f"slimreel-{stage}"
