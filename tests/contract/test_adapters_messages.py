"""Queues, the topic and secrets: what SQS, SNS and SSM take and give."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from chalicelib.adapters.messages import Queues, Topic
from chalicelib.adapters.secrets import SecretMissing, Secrets
from chalicelib.domain.notice import Notice


@pytest.fixture(scope="module")
def aws() -> Iterator[Any]:
    with mock_aws():
        yield lambda name: boto3.client(
            name, region_name="eu-west-1", aws_access_key_id="t", aws_secret_access_key="t"
        )


@pytest.fixture
def sqs(aws) -> Any:
    return aws("sqs")


@pytest.fixture
def urls(sqs) -> Iterator[tuple[str, str]]:
    fifo = {"FifoQueue": "true", "VisibilityTimeout": "720"}
    made = (
        sqs.create_queue(QueueName="drive")["QueueUrl"],
        sqs.create_queue(QueueName="rows.fifo", Attributes=fifo)["QueueUrl"],
    )
    yield made
    for url in made:
        sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def queues(sqs, urls) -> Queues:
    return Queues(sqs, drive_queue_url=urls[0], rows_queue_url=urls[1])


def received(sqs: Any, url: str) -> list[dict[str, Any]]:
    return sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
    ).get("Messages", [])


def test_a_hint_goes_to_the_drive_queue(queues: Queues, sqs, urls) -> None:
    queues.drive_may_have_changed({"channel_id": "c", "message": "7"})
    [message] = received(sqs, urls[0])
    assert json.loads(message["Body"]) == {"channel_id": "c", "message": "7"}


def test_a_dirty_row_names_its_job_in_the_one_group(queues: Queues, sqs, urls) -> None:
    queues.row_is_dirty("job", 3)
    [message] = received(sqs, urls[1])
    assert json.loads(message["Body"]) == {"job_id": "job"}
    assert message["Attributes"]["MessageGroupId"] == "rows"


def test_the_same_version_is_one_message_and_another_another(queues: Queues, sqs, urls) -> None:
    for version in (1, 1, 2):
        queues.row_is_dirty("job", version)
    queues.row_is_dirty("other", 1)
    assert len(received(sqs, urls[1])) == 3


def test_a_row_is_shown_again_after_its_pause(queues: Queues, sqs, urls) -> None:
    queues.row_is_dirty("job", 1)
    [message] = received(sqs, urls[1])
    assert received(sqs, urls[1]) == []
    queues.show_row_again(message["ReceiptHandle"], 0.0)
    [again] = received(sqs, urls[1])
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"


def test_no_pause_is_longer_than_sqs_takes(queues: Queues, sqs, urls) -> None:
    queues.row_is_dirty("job", 1)
    [message] = received(sqs, urls[1])
    with pytest.raises(ClientError):
        sqs.change_message_visibility(
            QueueUrl=urls[1],
            ReceiptHandle=message["ReceiptHandle"],
            VisibilityTimeout=12 * 3600,
        )
    queues.show_row_again(message["ReceiptHandle"], 1e6)
    assert received(sqs, urls[1]) == []


def test_a_notice_can_be_filtered_by_its_kind(aws, sqs, urls) -> None:
    sns = aws("sns")
    arn = sns.create_topic(Name="notices")["TopicArn"]
    queue = sqs.get_queue_attributes(QueueUrl=urls[0], AttributeNames=["QueueArn"])["Attributes"]
    only_failed = {"FilterPolicy": json.dumps({"kind": ["failed"]})}
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue["QueueArn"], Attributes=only_failed)
    topic = Topic(sns, arn=arn)
    for kind in ("completed", "failed"):
        topic.publish(Notice(kind=kind, workflow="compress", subject=kind, body="Ünïcode 🎬"))
    [message] = received(sqs, urls[0])
    said = json.loads(message["Body"])
    assert (said["Subject"], said["Message"]) == ("failed", "Ünïcode 🎬")
    assert said["MessageAttributes"]["workflow"]["Value"] == "compress"


@pytest.mark.parametrize("prefix", ["/slimreel/test", "/slimreel/test/"])
def test_a_secret_is_read_decrypted(aws, prefix: str) -> None:
    ssm = aws("ssm")
    ssm.put_parameter(
        Name="/slimreel/test/link-key", Value="s3cret", Type="SecureString", Overwrite=True
    )
    assert Secrets(ssm, prefix=prefix).get("link-key") == "s3cret"


def test_a_missing_secret_is_named(aws) -> None:
    with pytest.raises(SecretMissing, match=r"/slimreel/test/airtable-token.*SecureString"):
        Secrets(aws("ssm"), prefix="/slimreel/test/").get("airtable-token")
