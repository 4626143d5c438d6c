"""A stand-in for Google Drive: a folder on disk behind the Drive v3 REST API."""

from slimreel.local.drive.drive import Drive
from slimreel.local.drive.oauth import SERVICE_ACCOUNT
from slimreel.local.drive.records import Person

__all__ = ["SERVICE_ACCOUNT", "Drive", "Person"]
