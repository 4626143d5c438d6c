"""What a film says about itself, read by ffmpeg."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.said import Said, parse_said

PRINTED = r"""
;FFMETADATA1
major_brand=mp42
creation_time=2024-02-09T20:23:48.000000Z
location=+51.5335-000.1261/
location-eng=+51.5335-000.1261/
com.apple.quicktime.make=Apple
com.apple.quicktime.model=iPhone 15
title=A\=b\;c
encoder=Lavf63.1.102
[STREAM]
language=eng
handler_name=SoundHandler
[STREAM]
handler_name=Director's comments
[CHAPTER]
TIMEBASE=1/1000
START=0
END=4000
title=creation_time=1999-01-01T00:00:00Z
[CHAPTER]
TIMEBASE=1/1000
START=4000
END=10000
"""
FILM = Said(
    facts=(
        ("recording date", "2024-02-09T20:23:48.000000Z"),
        ("location", "+51.5335-000.1261/"),
        ("camera make", "Apple"),
        ("camera model", "iPhone 15"),
        ("title", "A=b;c"),
    ),
    tracks=("", "Director's comments"),
    chapters_s=(0.0, 4.0),
)


def test_what_people_miss_is_read() -> None:
    assert parse_said(PRINTED.strip().splitlines()) == FILM


def test_nothing_is_lost_between_equal_films() -> None:
    assert FILM.missing_in(FILM) == ()
    assert Said().missing_in(FILM) == ()
    more = replace(FILM, facts=(("recording date", "2024-02-09T20:23:48Z"), *FILM.facts[1:]))
    assert FILM.missing_in(more) == more.missing_in(FILM) == ()


def test_everything_that_is_lost_is_named() -> None:
    assert FILM.missing_in(Said()) == (
        "recording date",
        "location",
        "camera make",
        "camera model",
        "title",
        "name of audio track 2",
        "chapters",
    )


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({"facts": (("recording date", "2026-01-01T00:00:00Z"), *FILM.facts[1:])},
         "recording date"),
        ({"tracks": ("Director's comments", "")}, "name of audio track 2"),
        ({"chapters_s": (0.0, 5.0)}, "chapters"),
        ({"chapters_s": (0.0,)}, "chapters"),
    ],
)  # fmt: skip
def test_another_value_is_a_loss(change: dict[str, object], lost: str) -> None:
    assert FILM.missing_in(replace(FILM, **change)) == (lost,)


@given(st.lists(st.text(max_size=60), max_size=40))
def test_no_text_breaks_the_reader(lines: list[str]) -> None:
    parse_said(["[CHAPTER]", "TIMEBASE=1/0", "START=x", *lines])
