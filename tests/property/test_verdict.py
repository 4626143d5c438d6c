"""What holds for every verdict: never bigger, never worse."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.floors import floors, scene_floor
from chalicelib.domain.measurement import Measurement
from chalicelib.domain.plan import Plan
from chalicelib.domain.score import QualityScore
from chalicelib.domain.verdict import Decision, Verdict, damage_problems, judge
from tests.examples import a_measurement, a_plan, tracks

quick = settings(deadline=None)

shares = st.floats(0.5, 1) | st.sampled_from([0.85, 0.95, 0.9, 0.99, float("nan")])
scores = st.builds(
    QualityScore,
    mean=shares,
    harmonic_mean=shares,
    percentile_5=shares,
    percentile_1=shares,
    worst_1_percent=shares,
    lowest=shares,
    worst_second=shares,
    worst_second_at_s=st.floats(0, 10**5),
    frames=st.integers(1, 10**6),
)
# Sound most of the time, or hardly a file would be accepted.
measurements = st.builds(
    a_measurement,
    score=scores | scores | scores | st.none(),
    decode_errors=st.sampled_from([0, 0, 0, 0, 1]),
    result_tracks=st.sampled_from([tracks(), tracks(), tracks(), tracks()[:1], tracks()[1:], ()]),
)
sizes = st.integers(1, 10**13)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    source = draw(sizes)
    share = draw(st.floats(0, 0.8) | st.floats(0, 1.2))
    return {
        "plan": a_plan(
            qvbr_level=draw(st.integers(1, 10)),
            ssim_floor=draw(st.sampled_from([None, 0.0, 0.85, 0.95])),
            ssim_worst_floor=draw(st.sampled_from([None, 0.0, 0.7, 0.85])),
        ),
        "measurement": draw(measurements),
        "source_size_bytes": source,
        "result_size_bytes": draw(st.just(max(1, int(source * share))) | sizes),
        "min_savings_percent": draw(st.sampled_from([0, 10, 10]) | st.floats(-10, 99)),
        "attempt": draw(st.integers(1, 4)),
        "first_attempt": 1,
        "max_attempts": draw(st.integers(1, 5)),
    }


def judged(case: dict[str, Any]) -> tuple[Verdict, Plan, Measurement]:
    return judge(**case), case["plan"], case["measurement"]


@quick
@given(cases())
def test_what_is_accepted_is_smaller_by_the_minimum(case: dict[str, Any]) -> None:
    verdict, *_ = judged(case)
    if verdict.decision is Decision.ACCEPT:
        source, result = case["source_size_bytes"], case["result_size_bytes"]
        assert result < source
        assert 100 * (source - result) >= case["min_savings_percent"] * source
        assert not verdict.problems


@quick
@given(cases())
def test_what_is_accepted_is_whole_and_looks_as_good_as_asked(case: dict[str, Any]) -> None:
    verdict, plan, measurement = judged(case)
    if verdict.decision is Decision.ACCEPT:
        assert not damage_problems(measurement, plan)
        assert measurement.score is not None
        assert plan.ssim_floor is None or measurement.score.mean >= plan.ssim_floor
        worst = measurement.score.worst_1_percent
        assert plan.ssim_worst_floor is None or worst >= plan.ssim_worst_floor
        for target in floors(plan):
            scene = scene_floor(target)
            assert scene is None or measurement.score.worst_second >= scene


@quick
@given(cases())
def test_another_attempt_is_only_for_a_low_score_with_room_left(case: dict[str, Any]) -> None:
    verdict, plan, measurement = judged(case)
    if verdict.decision is Decision.RETRY_HIGHER:
        assert not damage_problems(measurement, plan)
        assert verdict.problems and all("SSIM" in problem for problem in verdict.problems)
        assert case["attempt"] < case["max_attempts"]
        assert plan.qvbr_level is not None and plan.qvbr_level < 10


@quick
@given(cases())
def test_attempts_end(case: dict[str, Any]) -> None:
    for attempt in range(1, 7):
        if judge(**case | {"attempt": attempt}).decision is not Decision.RETRY_HIGHER:
            return
    raise AssertionError("it would try for ever")


@quick
@given(cases())
def test_every_verdict_has_a_reason_without_nonsense(case: dict[str, Any]) -> None:
    verdict, *_ = judged(case)
    assert verdict.reason and "None" not in verdict.reason and "-0" not in verdict.reason
    assert not verdict.reason.startswith(("0 % ", "100 % "))
