"""The table definition, as data."""

from __future__ import annotations

from chalicelib.domain.job import Status
from chalicelib.domain.review import Choice
from chalicelib.domain.row import FIELDS, KEY_FIELD, REVIEW_COLOURS, STATUS_COLOURS
from slimreel.local.airtable.fields import PRIMARY, column_from
from slimreel.local.airtable.records import MERGEABLE

WANTED = """
File Name|Original Size (MB)|Compressed Size (MB)|Duration (seconds)|Processing Time (minutes)
Status|Original Uploader|Upload Date|Processing Date|Completion Date|Original URL|Compressed URL
Resolution|Compression Ratio|Savings (%)|Quality|Preset|Reason|Cost (USD)|Job ID|Error Message
"""


def test_every_field_users_count_on_is_there() -> None:
    names = {name for line in WANTED.split("\n") for name in line.split("|") if name}
    assert names <= {field.name for field in FIELDS}


def test_names_are_unique_without_regard_to_case() -> None:
    assert len({field.name.casefold() for field in FIELDS}) == len(FIELDS)


def test_the_first_field_can_be_the_primary_one() -> None:
    assert FIELDS[0].type in PRIMARY


def test_rows_can_be_matched_on_the_key() -> None:
    (key,) = (field for field in FIELDS if field.name == KEY_FIELD)
    assert key.type in MERGEABLE


def test_status_knows_every_state_of_a_job() -> None:
    assert list(STATUS_COLOURS) == [status.value for status in Status]


def test_review_knows_every_choice() -> None:
    assert list(REVIEW_COLOURS) == [choice.value for choice in Choice]


def test_every_field_explains_itself_and_can_be_made() -> None:
    for field in FIELDS:
        assert field.description.endswith(".")
        assert column_from(field.as_airtable()).type == field.type
