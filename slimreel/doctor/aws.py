"""The account, the stack, what is given up, and who is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from slimreel.deploying.follow import REVIEW, is_busy
from slimreel.doctor import Finding, note, ok, unknown, wrong
from slimreel.doctor.site import Site

#: Lambda keeps so many executions for functions that reserve none.
#: Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
UNRESERVED = 100
#: Fewer at once than this, and videos wait for each other on an ordinary day.
FEW_EXECUTIONS = 50


def account(site: Site) -> Iterator[Finding]:
    here = site.account
    yield ok("aws-account", f"Account {here.account_id} in {here.region}, as {here.caller}.")


def stack(site: Site) -> Iterator[Finding]:
    deploy = f"slimreel deploy --stage {site.stage}"
    told = site.stack
    if told is None or told["StackStatus"] == REVIEW:
        yield wrong("stack", f"The stage {site.stage} is not deployed.", deploy)
        return
    status = told["StackStatus"]
    if is_busy(status):
        yield wrong("stack", f"Something goes on with the stack: {status}.", deploy)
    elif status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        after = "The last update failed and was undone" if "UPDATE_ROLLBACK" in status else "Broken"
        yield wrong("stack", f"{after}: {status}.", f"{deploy} says why, and tries again.")
    elif not site.setting("PublicUrl"):
        yield wrong("stack", "The functions do not know their own address.", deploy)
    else:
        yield ok("stack", f"Deployed ({status}); the API is {site.setting('PublicUrl')}.")


def concurrency(site: Site) -> Iterator[Finding]:
    """The quota that a new account has too little of."""
    settings = site.account.client("lambda").get_account_settings()
    limit = int(settings["AccountLimit"]["ConcurrentExecutions"])
    names = ("FetchConcurrency", "AnswerConcurrency")
    reserved = [int(float(site.setting(name) or 10)) for name in names]
    wants = reserved[0] + 2 * reserved[1]  # the webhook and the encoder's news each have theirs
    raise_it = (
        "Ask for more: Service Quotas, AWS Lambda, Concurrent executions (L-B99A9384), 1000 say. "
    )
    if wants and limit - wants < UNRESERVED:
        yield wrong(
            "lambda-quota",
            f"This account runs {limit} functions at once, and Lambda wants {UNRESERVED} left over "
            f"beside the {wants} that are reserved: deploying will fail.",
            f"{raise_it}Until then: slimreel deploy --stage {site.stage} --parameter "
            "FetchConcurrency=0 --parameter AnswerConcurrency=0",
        )
    elif limit < FEW_EXECUTIONS:
        yield note(
            "lambda-quota",
            f"This account runs {limit} functions at once: enough to try it, few for a full day.",
            raise_it.strip(),
        )
    else:
        yield ok("lambda-quota", f"{limit} functions may run at once, {wants} of them reserved.")


def encoder_quota(site: Site) -> Iterator[Finding]:
    """How many encodes run at once. No code of the quota is published: its name is looked for."""
    quotas = site.account.client("service-quotas")
    pages = quotas.get_paginator("list_service_quotas").paginate(ServiceCode="mediaconvert")
    found = [
        one
        for page in pages
        for one in page["Quotas"]
        if "concurrent jobs" in one["QuotaName"].lower()
    ]
    if not found:
        yield unknown("mediaconvert-quota", "Service Quotas does not list MediaConvert's here.")
        return
    least = min(found, key=lambda one: float(one["Value"]))
    yield ok("mediaconvert-quota", f"{least['QuotaName']}: {float(least['Value']):.0f}.")


def subscriptions(site: Site) -> Iterator[Finding]:
    """An address that has not said yes gets nothing."""
    for name, output in (("NoticeEmail", "NoticeTopicArn"), ("AlarmEmail", "AlarmTopicArn")):
        check = "notices" if name == "NoticeEmail" else "alarms"
        wanted = site.setting(name)
        if not wanted:
            yield note(check, f"{name} is empty: nobody is told.", f"slimreel deploy --stage "
                       f"{site.stage} --parameter {name}=team@example.com")  # fmt: skip
            continue
        pages = site.account.client("sns").get_paginator("list_subscriptions_by_topic")
        subscribed = {
            one["Endpoint"]: one["SubscriptionArn"]
            for page in pages.paginate(TopicArn=site.outputs[output])
            for one in page["Subscriptions"]
        }
        arn = subscribed.get(wanted)
        if arn is None or arn == "Deleted":
            yield wrong(
                check,
                f"{wanted} is not subscribed (any more).",
                f"aws sns subscribe --topic-arn {site.outputs[output]} --protocol email "
                f"--notification-endpoint {wanted}",
            )
        elif arn == "PendingConfirmation":
            yield wrong(
                check,
                f"{wanted} has not confirmed yet, and gets nothing until then.",
                f"Open the mail “AWS Notification - Subscription Confirmation” at {wanted} (in "
                "spam, perhaps) and follow its link. It is good for two days; for another one: "
                f"aws sns subscribe --topic-arn {site.outputs[output]} --protocol email "
                f"--notification-endpoint {wanted}",
            )
        else:
            yield ok(check, f"{wanted} gets them.")


def given_up(site: Site) -> Iterator[Finding]:
    """Messages that wait for a person."""
    names = ("DriveDeadLettersUrl", "RowsDeadLettersUrl", "EventDeadLettersUrl")
    counts = {name: _waiting(site.account.client("sqs"), site.outputs[name]) for name in names}
    total = sum(counts.values())
    if total:
        yield wrong("given-up", f"{total} messages were given up and wait for a person.",
                    "slimreel redrive lists them and tries them again.")  # fmt: skip
    else:
        yield ok("given-up", "Nothing was given up.")


def _waiting(sqs: Any, url: str) -> int:
    name = "ApproximateNumberOfMessages"
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"]
    return int(attributes[name])
