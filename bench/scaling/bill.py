"""What a month costs, by service, from what a simulation used."""

from __future__ import annotations

from bench.scaling.assumptions import Assumptions
from bench.scaling.system import Totals
from chalicelib.domain.money import GIB, Prices

MONTH_DAYS = 30


def monthly_bill(
    totals: Totals, given: Assumptions, prices: Prices, *, days: float
) -> dict[str, float]:
    """US dollars a month, by service, dearest first.

    Storage is that of the first month's results at its end, and of a week's temporary copies; what
    is kept adds up from month to month. Free tiers and volume discounts are left out, and so are
    Google's and Airtable's own prices.
    """
    price, times = given.section("prices"), MONTH_DAYS / days
    row_requests = 3 * totals.row_messages  # sent, received, deleted; batches make it fewer
    bill = {
        "MediaConvert": _encodes_usd(totals, prices),
        "Lambda": totals.gib_s * price["lambda_gib_s"]
        + totals.invocations * price["lambda_request"],
        "Step Functions": totals.transitions * price["state_transition"],
        "DynamoDB": _units(totals, given) * price["write_unit"]
        + 4 * totals.reads * price["read_unit"],
        "S3 requests": (totals.parts + 0.2 * totals.requests) * price["s3_put"]
        + 0.8 * totals.requests * price["s3_get"],
        "S3, results of the month": totals.result_bytes / GIB * prices.standard_per_gib_month,
        # Copies of jobs that ended well go at once; a quarter day is the longest usual stay.
        "S3, temporary": totals.copied_bytes / GIB * prices.standard_per_gib_month / 30 / 4,
        "SQS and SNS": row_requests * price["sqs_fifo_request"] + totals.emails * price["email"],
        "Logs and traces": totals.ended * given("job", "log_bytes") * price["log_byte"]
        + totals.invocations * 0.05 * price["trace"],
    }
    month = {service: usd * times for service, usd in bill.items()}
    month["Alarms and dashboard"] = price["alarms_and_dashboard_month"]
    return dict(sorted(month.items(), key=lambda entry: -entry[1]))


def _encodes_usd(totals: Totals, prices: Prices) -> float:
    """Basic tier, AVC, up to 30 pictures a second, as the preset `balanced` has it."""
    factor = {"SD": 1.0, "HD": prices.hd_multiplier, "UHD": prices.uhd_multiplier}
    return sum(
        minutes * prices.sd_basic_per_minute * factor[size]
        for size, minutes in totals.minutes.items()
    )


def _units(totals: Totals, given: Assumptions) -> float:
    """Write units: of the table, of the index of open jobs, and half the time of that of rows."""
    return totals.writes * given("job", "write_units") * 2.5
