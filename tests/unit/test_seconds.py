from __future__ import annotations

from chalicelib.domain.seconds import MOST_POINTS, by_second


def test_each_second_has_the_mean_and_the_lowest_of_its_frames() -> None:
    points = by_second([1.0, 0.9, 0.8, 0.7, 0.6], start_s=3.5, frame_s=0.25)
    assert points == ((3.0, 0.95, 0.9), (4.0, 0.7, 0.6))


def test_nothing_compared_is_no_line() -> None:
    assert by_second([], 0.0, 0.04) == ()


def test_a_record_does_not_grow_without_bound() -> None:
    assert len(by_second([1.0] * 5000, 0.0, 1.0)) == MOST_POINTS
    assert len(by_second([1.0] * 5000, 0.0, 0.0)) == 1  # a frame that claims to last no time
