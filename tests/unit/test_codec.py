"""Dataclasses to plain data and back, where it has bitten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import pytest

from chalicelib.domain.codec import from_plain, to_plain
from chalicelib.domain.job import Job, Moment, Status
from chalicelib.domain.media import MediaFacts, VideoTrack
from tests.examples import a_job, a_measurement, a_plan, a_sound, a_video, some_facts


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    number: int
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    name: str
    must_say: str | None
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    pairs: tuple[tuple[str, ...], ...] = ()
    by_name: Mapping[str, Inner] = field(default_factory=dict)
    colour: Colour = Colour.RED
    flag: bool = False


FULL = Outer(
    name="x",
    must_say="y",
    inner=Inner(number=1, share=0.5),
    many=(Inner(number=2), Inner(number=3)),
    pairs=(("a", "b"), ()),
    by_name={"k": Inner(number=4)},
    flag=True,
)


def test_plain_data_is_plain() -> None:
    assert to_plain(FULL) == {
        "name": "x",
        "must_say": "y",
        "inner": {"number": 1, "share": 0.5},
        "many": [{"number": 2}, {"number": 3}],
        "pairs": [["a", "b"], []],
        "by_name": {"k": {"number": 4}},
        "colour": "red",
        "flag": True,
    }


def test_a_value_comes_back_as_it_was() -> None:
    assert from_plain(Outer, json.loads(json.dumps(to_plain(FULL)))) == FULL


def test_what_is_none_is_left_out_and_comes_back() -> None:
    bare = Outer(name="x", must_say=None)
    assert "must_say" not in to_plain(bare)
    assert from_plain(Outer, to_plain(bare)) == bare


def test_an_explicit_null_is_none() -> None:
    assert from_plain(Outer, {"name": "x", "must_say": None, "inner": None}).inner is None


def test_unknown_keys_are_ignored_at_every_depth() -> None:
    data = {"name": "x", "newer": 1, "inner": {"number": 1, "newer": {"a": []}}}
    assert from_plain(Outer, data) == Outer(name="x", must_say=None, inner=Inner(number=1))


def test_a_missing_field_is_named() -> None:
    with pytest.raises(KeyError, match="Outer needs 'name'"):
        from_plain(Outer, {})
    with pytest.raises(KeyError, match="Inner needs 'number'"):
        from_plain(Outer, {"name": "x", "inner": {}})


def test_an_unknown_enum_value_is_refused() -> None:
    with pytest.raises(ValueError):
        from_plain(Outer, {"name": "x", "colour": "blue"})


def test_whole_numbers_become_the_floats_they_were() -> None:
    # DynamoDB keeps 25.0 as 25.
    video = from_plain(VideoTrack, to_plain(a_video()) | {"frame_rate": 25})
    assert type(video.frame_rate) is float
    assert video == a_video()


@pytest.mark.parametrize(
    "facts",
    [
        MediaFacts(
            container="mp4",
            duration_s=None,
            size_bytes=1,
            video=None,
            video_tracks=0,
            audio=(a_sound(),),
            data_tracks=0,
        ),
        some_facts(),
        some_facts(audio=()),
    ],
    ids=["sound alone", "film", "silent film"],
)
def test_the_facts_of_every_source_can_be_stored(facts: MediaFacts) -> None:
    # Without a picture they once could be written but not read again.
    assert from_plain(MediaFacts, to_plain(facts)) == facts


def test_a_job_in_full_swing_comes_back() -> None:
    job = a_job(
        Status.RETRYING,
        facts=some_facts(),
        plan=a_plan(),
        measurement=a_measurement(commands=(("ffmpeg", "-i", "{source}"),)),
        timeline=(Moment(step="register", at="2026-05-04T09:30:00.000Z"),),
        notices_sent=("1:started",),
    )
    assert from_plain(Job, json.loads(json.dumps(to_plain(job)))) == job


def test_enums_come_back_as_themselves() -> None:
    assert from_plain(Job, to_plain(a_job())).status is Status.PROCESSING
