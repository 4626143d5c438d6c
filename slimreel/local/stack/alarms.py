"""Alarms, kept as described. The local cloud sends no metrics, so none of them ever rings."""

from __future__ import annotations

from slimreel.local.stack.kinds import Kind, Made, Order, arn
from slimreel.local.stack.shapes import ANY

_SETTINGS = (
    "ActionsEnabled",
    "AlarmActions",
    "AlarmDescription",
    "ComparisonOperator",
    "DatapointsToAlarm",
    "Dimensions",
    "EvaluationPeriods",
    "ExtendedStatistic",
    "InsufficientDataActions",
    "MetricName",
    "Namespace",
    "OKActions",
    "Period",
    "Statistic",
    "Threshold",
    "TreatMissingData",
    "Unit",
)


def _alarm(order: Order) -> Made:
    name = order.name("AlarmName")
    settings = order.picked(*_SETTINGS)
    order.client("cloudwatch").put_metric_alarm(
        AlarmName=name, **{**settings, "Threshold": float(settings["Threshold"])}
    )
    return Made(ref=name, attributes={"Arn": arn("cloudwatch", f"alarm:{name}")})


KINDS = {
    "AWS::CloudWatch::Alarm": Kind(
        shape={"AlarmName": ANY, **dict.fromkeys(_SETTINGS, ANY)},
        create=_alarm,
        required=(
            "ComparisonOperator",
            "EvaluationPeriods",
            "MetricName",
            "Namespace",
            "Threshold",
        ),
    ),
}
