"""What SNS would mail lies in the mailbox, as files and as a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from werkzeug.test import Client

from slimreel.local.faults import Faults
from slimreel.local.front import Front
from slimreel.local.http_server import Server
from slimreel.local.mail import Mailbox, subject_problem
from slimreel.local.moto_app import Moto


class Post:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.moto = Moto()
        front = Front(moto=self.moto, faults=Faults())
        self.server = Server(front)
        url = f"http://127.0.0.1:{self.server.port}"
        self.mailbox = Mailbox(folder, endpoint_url=url)
        front.route_path("/mail", self.mailbox.handle)
        self.web = Client(front)
        self.server.start()
        self.sns = boto3.client(
            "sns",
            region_name="eu-west-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            endpoint_url=url,
            config=Config(retries={"total_max_attempts": 1}),
        )
        self.topic = self.sns.create_topic(Name="notices")["TopicArn"]

    def subscribe(self, address: str, **attributes: str) -> str:
        return str(
            self.sns.subscribe(
                TopicArn=self.topic,
                Protocol="email",
                Endpoint=address,
                Attributes=attributes,
                ReturnSubscriptionArn=True,
            )["SubscriptionArn"]
        )

    def publish(self, message: str = "Body", **more: Any) -> None:
        self.sns.publish(TopicArn=self.topic, Message=message, **more)

    def close(self) -> None:
        self.sns.close()
        self.mailbox.close()
        self.server.stop()
        self.moto.close()


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    post = Post(tmp_path / "mail")
    try:
        yield post
    finally:
        post.close()


def test_published_message_is_an_rfc_5322_file(post: Post) -> None:
    arn = post.subscribe("editor@example.com")
    post.publish("The film «Ö» is done.\nSaved 40 %.", Subject="Completed: film")
    (path,) = post.folder.glob("*.eml")
    mail = BytesParser(policy=policy.default).parsebytes(path.read_bytes())
    assert mail["From"] == "AWS Notifications <no-reply@sns.amazonaws.com>"
    assert mail["To"] == "editor@example.com"
    assert mail["Subject"] == "Completed: film"
    assert mail["Date"] and mail["Message-ID"].endswith("@sns.amazonaws.com>")
    body = mail.get_content().replace("\r\n", "\n")
    assert body.startswith("The film «Ö» is done.\nSaved 40 %.\n")
    assert "visit the link below to unsubscribe:" in body and arn in body


def test_every_email_subscriber_gets_it_in_order(post: Post) -> None:
    post.subscribe("a@example.com")
    post.subscribe("b@example.com")
    post.publish(Subject="one")
    post.publish(Subject="two")
    assert [(one.subject, one.recipient) for one in post.mailbox.mails()][::-1] == [
        ("one", "a@example.com"),
        ("one", "b@example.com"),
        ("two", "a@example.com"),
        ("two", "b@example.com"),
    ]


def test_filter_policy_is_honoured(post: Post) -> None:
    wanted = json.dumps({"kind": ["failed", {"prefix": "comp"}]})
    post.subscribe("editor@example.com", FilterPolicy=wanted)
    for kind in ("started", "completed", "failed"):
        post.publish(
            Subject=kind,
            MessageAttributes={"kind": {"DataType": "String", "StringValue": kind}},
        )
    post.publish(Subject="without a kind")
    assert {one.subject for one in post.mailbox.mails()} == {"completed", "failed"}


def test_batch_and_message_structure(post: Post) -> None:
    post.subscribe("editor@example.com")
    texts = json.dumps({"default": "for all", "email": "for email"})
    answer = post.sns.publish_batch(
        TopicArn=post.topic,
        PublishBatchRequestEntries=[
            {"Id": "1", "Message": texts, "MessageStructure": "json", "Subject": "s"},
            {"Id": "2", "Message": "m", "Subject": "two\nlines"},
        ],
    )
    assert [one["Id"] for one in answer["Successful"]] == ["1"]
    assert [(one["Id"], one["Code"]) for one in answer["Failed"]] == [("2", "InvalidParameter")]
    (mail,) = post.mailbox.mails()
    assert mail.body.startswith("for email\n")


@pytest.mark.parametrize("subject", ["ü", "a\nb", "x" * 100, "tab\there", " led by a space"])
def test_subject_rules(post: Post, subject: str) -> None:
    post.subscribe("editor@example.com")
    with pytest.raises(post.sns.exceptions.InvalidParameterException, match="Subject"):
        post.publish(Subject=subject)
    assert post.mailbox.mails() == []


def test_longest_subject_and_none(post: Post) -> None:
    assert subject_problem("x" * 99) is None
    post.subscribe("editor@example.com")
    post.publish()
    assert post.mailbox.mails()[0].subject == "AWS Notification Message"
    with pytest.raises(post.sns.exceptions.InvalidParameterException, match="Empty message"):
        post.publish("")


def test_page_lists_and_shows_mail_escaped(post: Post) -> None:
    empty = post.web.get("/mail")
    assert "No mail yet" in empty.text
    post.subscribe("editor@example.com")
    post.publish("<script>alert(1)</script> & more", Subject="Done: <b>film</b>")
    listing = post.web.get("/mail").text
    name = post.mailbox.mails()[0].name
    assert f"/mail/{name}" in listing and "Done: &lt;b&gt;film&lt;/b&gt;" in listing
    page = post.web.get(f"/mail/{name}")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page.text
    assert "<script>" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "prefers-color-scheme: dark" in page.text
    assert post.web.get("/mail/../../etc/passwd").status_code == 404
    assert post.web.get("/mail/nothing").status_code == 404
    assert post.web.post("/mail").status_code == 405


def test_other_subscriptions_get_no_mail_and_close_restores_moto(tmp_path: Path) -> None:
    from moto.sns.models import SNSBackend, Subscription

    originals = SNSBackend.publish, Subscription.publish
    post = Post(tmp_path / "mail")
    post.sns.subscribe(TopicArn=post.topic, Protocol="sms", Endpoint="+15555550100")
    post.publish()
    assert post.mailbox.mails() == []
    post.close()
    assert (SNSBackend.publish, Subscription.publish) == originals
