"""Alarms and the dashboard, kept as described. Metrics of the local cloud stay in its logs, so no
alarm ever rings.
"""

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


def _dashboard(order: Order) -> Made:
    name = order.name("DashboardName")
    order.client("cloudwatch").put_dashboard(
        DashboardName=name, DashboardBody=order.properties["DashboardBody"]
    )
    return Made(ref=name)


KINDS = {
    "AWS::CloudWatch::Dashboard": Kind(
        shape={"DashboardName": ANY, "DashboardBody": ANY},
        create=_dashboard,
        required=("DashboardBody",),
    ),
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
