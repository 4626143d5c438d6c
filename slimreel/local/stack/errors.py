"""What can go wrong when a template is applied.

StackError
├── Unsupported       a section, type, property or function this applier does not know
├── BadReference      a parameter, resource, attribute or condition that does not exist
├── Circular          resources that wait for each other
├── NeedsReplacement  an existing resource differs in what cannot be changed
└── NotCreated        the local cloud refused the call
"""

from __future__ import annotations


class StackError(Exception):
    """A template was not applied; the message names the resource and what to change."""


class Unsupported(StackError):
    """The template uses something the local cloud would silently lack."""


class BadReference(StackError):
    """The template names something it does not contain, or lacks a parameter's value."""


class Circular(StackError):
    """Resources need each other, so none can be created first."""


class NeedsReplacement(StackError):
    """What is kept on this machine was made by another template; remove it to go on."""


class NotCreated(StackError):
    """A stand-in service answered an error."""
