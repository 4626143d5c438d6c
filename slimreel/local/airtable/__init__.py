"""A stand-in for Airtable: its Web API, with the limits and errors, and a page to look at."""

from slimreel.local.airtable.routes import ALL_SCOPES
from slimreel.local.airtable.service import Airtable

__all__ = ["ALL_SCOPES", "Airtable"]
