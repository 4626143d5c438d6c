"""The table people review results in: one row per job, its fields as data.

Types and options are Airtable's own.
Source: https://airtable.com/developers/web/api/field-model
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TABLE_NAME = "Videos"
TABLE_DESCRIPTION = (
    "One row per video Slimreel has worked on. Slimreel writes it; add your own fields."
)

KEY_FIELD = "Job ID"
"""Rows are matched on this field. Upserts cannot be keyed on a url, email or dateTime field, nor
on a computed one, so it is a single line of text.
Source: https://airtable.com/developers/web/api/update-multiple-records"""

STATUS_COLOURS: Mapping[str, str] = {
    "Processing": "blueLight2",
    "Retrying": "yellowLight2",
    "Completed": "greenLight2",
    "Kept original": "tealLight2",
    "Failed": "redLight2",
    "Cancelled": "grayLight2",
}
"""Every value of the Status field, in the order a job meets them, with its colour."""

REVIEW_FIELD, ANSWER_FIELD = "Review", "Review Answer"
"""People choose in the one; Slimreel answers in the other, and empties the one."""

DRIVE_COPY_FIELD = "Drive Copy URL"

REVIEWER_FIELD = "Reviewed By"
"""Who chose last. Airtable makes such a field by hand only, so it may not be there.
Source: https://airtable.com/developers/web/api/field-model (lastModifiedBy)"""

REVIEW_COLOURS: Mapping[str, str] = {
    "Approve": "greenLight2",
    "Redo better": "blueLight2",
    "Redo smaller": "cyanLight2",
    "Keep original": "tealLight2",
    "Delete result": "redLight2",
}
"""Every value of the Review field with its colour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One column of the table.

    Attributes:
        name: as people see it and as rows are keyed.
        type: Airtable's name of the field type.
        description: what the value means, shown by Airtable as a tooltip.
        options: what Airtable wants to know when it makes the field; None where the type has none.
    """

    name: str
    type: str
    description: str
    options: Mapping[str, Any] | None = None

    def as_airtable(self) -> dict[str, Any]:
        """The field as the metadata API takes it."""
        told = {"name": self.name, "type": self.type, "description": self.description}
        return told if self.options is None else {**told, "options": dict(self.options)}


# The API refuses a dateTime field without all three, and knows "utc" in lower case only.
_UTC_TIME: Mapping[str, Any] = {
    "dateFormat": {"name": "iso"},
    "timeFormat": {"name": "24hour"},
    "timeZone": "utc",
}

FIELDS: tuple[Field, ...] = (
    # The first field is the primary one: the frozen column, and the row's title in links, cards and
    # forms. It must be of a plain type and can never be moved by the API. People look for a file by
    # its name, so it is the name; two files may share one, so rows are matched on Job ID instead.
    Field(
        name="File Name",
        type="singleLineText",
        description="The name the video had when it was uploaded.",
    ),
    Field(
        name="Status",
        type="singleSelect",
        description="Where the job is, or how it ended.",
        options={
            "choices": [{"name": name, "color": color} for name, color in STATUS_COLOURS.items()]
        },
    ),
    # Beside the status, where people who review find them without scrolling.
    Field(
        name=REVIEW_FIELD,
        type="singleSelect",
        description=(
            "Choose what is to happen. Slimreel does it, answers in Review Answer and empties this."
        ),
        options={
            "choices": [{"name": name, "color": color} for name, color in REVIEW_COLOURS.items()]
        },
    ),
    Field(
        name=ANSWER_FIELD,
        type="multilineText",
        description="What came of the last choice in Review, who made it and when.",
    ),
    Field(
        name="Compressed URL",
        type="url",
        description="Opens the published video.",
    ),
    Field(
        name="Original Size (MB)",
        type="number",
        description="Size of the uploaded file, in megabytes of 1,000,000 bytes.",
        options={"precision": 2},
    ),
    Field(
        name="Compressed Size (MB)",
        type="number",
        description="Size of the published file, in megabytes of 1,000,000 bytes.",
        options={"precision": 2},
    ),
    Field(
        name="Savings (%)",
        type="percent",
        description="Share of the original size that was saved. Stored as a fraction: 0.6 is 60 %.",
        options={"precision": 1},
    ),
    Field(
        name="Compression Ratio",
        type="number",
        description="Original size divided by published size; 2.5 means 2.5 times smaller.",
        options={"precision": 2},
    ),
    Field(
        name="Quality",
        type="number",
        description=(
            "Mean SSIM of the published video against the original, 0 to 1. Empty when nobody "
            "measured it; see Quality Note."
        ),
        options={"precision": 4},
    ),
    Field(
        name="Quality Note",
        type="singleLineText",
        description="Who measured the quality, and its worst part.",
    ),
    Field(
        name="Reason",
        type="multilineText",
        description="Why the job ended as it did, and why these settings were chosen.",
    ),
    Field(
        name="Duration (seconds)",
        type="number",
        description="Length of the video.",
        options={"precision": 2},
    ),
    Field(
        name="Resolution",
        type="singleLineText",
        description="Width x height of the original, and of the published video where it differs.",
    ),
    Field(
        name="Preset",
        type="singleLineText",
        description="The encoding preset the workflow asked for.",
    ),
    Field(
        name="Original URL",
        type="url",
        description="The uploaded file in Google Drive.",
    ),
    Field(
        name=DRIVE_COPY_FIELD,
        type="url",
        description="The result in Google Drive, where the workflow puts it there.",
    ),
    Field(
        name="Original Uploader",
        type="singleLineText",
        description="Who put the file into the folder.",
    ),
    Field(
        name="Upload Date",
        type="dateTime",
        description="When the file arrived in the folder (UTC).",
        options=_UTC_TIME,
    ),
    Field(
        name="Processing Date",
        type="dateTime",
        description="When the job started (UTC).",
        options=_UTC_TIME,
    ),
    Field(
        name="Completion Date",
        type="dateTime",
        description="When the job ended (UTC).",
        options=_UTC_TIME,
    ),
    Field(
        name="Processing Time (minutes)",
        type="number",
        description="From the start of the job to its end.",
        options={"precision": 1},
    ),
    Field(
        name="Cost (USD)",
        type="currency",
        description="Estimated cost of the job, from the dated price table in the settings.",
        options={"precision": 4, "symbol": "$"},
    ),
    Field(
        name=KEY_FIELD,
        type="singleLineText",
        description="Slimreel's name of the job. Rows are matched on it: do not edit.",
    ),
    Field(
        name="Error Message",
        type="multilineText",
        description="What went wrong, in technical words. Empty when nothing did.",
    ),
)
