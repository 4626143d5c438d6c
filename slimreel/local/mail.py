"""Email: what SNS would send to `email` subscriptions lies in a mailbox on disk, and on a page.

Every subscription counts as confirmed, unless confirmations are asked for. Beyond moto, the subject
is held to SNS's rules.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import format_datetime, make_msgid
from html import escape
from pathlib import Path
from typing import Any

from moto.sns.exceptions import InvalidParameterValue
from moto.sns.models import SNSBackend, Subscription
from werkzeug.wrappers import Request, Response

from slimreel.local.confirmations import Confirmations

SENDER = Address("AWS Notifications", "no-reply", "sns.amazonaws.com")
DEFAULT_SUBJECT = "AWS Notification Message"
_PROTOCOLS = ("email", "email-json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One delivered mail. `name` is its file's stem."""

    name: str
    subject: str
    recipient: str
    sent_at: datetime
    body: str


class Mailbox:
    """A folder of `.eml` files, one per mail and recipient, shown under `/mail`.

    Open until `close()`: while it is, moto's email subscriptions deliver here.
    """

    def __init__(self, folder: Path, *, endpoint_url: str, asks: bool = False) -> None:
        """
        Args:
            asks: a new subscriber gets nothing before they have followed a link.
        """
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        for unfinished in self._folder.glob("*.part"):
            unfinished.unlink()
        self._endpoint_url = endpoint_url
        self._lock = threading.Lock()
        self._sequence = 0
        self._publish = SNSBackend.publish
        self._subscription_publish = Subscription.publish
        SNSBackend.publish = _checking_subject(self._publish)
        Subscription.publish = self._delivering(self._subscription_publish)
        self.confirmations: Confirmations | None = None
        if asks:
            self.confirmations = Confirmations(
                folder / "confirmed.json", endpoint_url=endpoint_url, send=self._write
            )

    def close(self) -> None:
        if self.confirmations is not None:
            self.confirmations.close()
        SNSBackend.publish = self._publish
        Subscription.publish = self._subscription_publish

    def mails(self) -> list[Mail]:
        """All mails, the newest first."""
        return [self._read(path) for path in sorted(self._folder.glob("*.eml"), reverse=True)]

    def handle(self, request: Request) -> Response:
        """Answer `GET /mail` (the list) and `GET /mail/<name>` (one mail)."""
        if request.method not in ("GET", "HEAD"):
            return Response("The mailbox is only for reading.\n", status=405)
        name = request.path.removeprefix("/mail").strip("/")
        if not name:
            return _html(_list_page(self.mails()))
        known = {path.stem: path for path in self._folder.glob("*.eml")}
        if name not in known:
            return _html(_page("No such mail", "<p>There is no such mail.</p>"), status=404)
        return _html(_mail_page(self._read(known[name])))

    def deliver(
        self, *, recipient: str, subject: str | None, body: str, unsubscribe_url: str
    ) -> Path:
        """Write one mail as SNS words it; its path."""
        return self._write(recipient, subject or DEFAULT_SUBJECT, body + _footer(unsubscribe_url))

    def _write(self, recipient: str, subject: str, text: str) -> Path:
        mail = EmailMessage(policy=policy.SMTP)
        mail["From"] = SENDER
        mail["To"] = recipient
        mail["Subject"] = subject
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = make_msgid(domain="sns.amazonaws.com")
        mail.set_content(text)
        with self._lock:
            self._sequence += 1
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
            millis = int(time.time() * 1000) % 1000
            path = self._folder / f"{stamp}.{millis:03d}Z-{self._sequence:04d}.eml"
            part = path.with_suffix(".part")
            part.write_bytes(mail.as_bytes())
            part.rename(path)  # a reader never sees half a mail
        return path

    def _delivering(self, original: Callable[..., None]) -> Callable[..., None]:
        def publish(
            subscription: Any,
            message: str,
            message_id: str,
            subject: str | None = None,
            message_attributes: dict[str, Any] | None = None,
            **more: Any,
        ) -> None:
            matcher = subscription._filter_policy_matcher
            wanted = matcher is None or matcher.matches(message_attributes, message)
            if self.confirmations is not None and self.confirmations.is_pending(subscription):
                return
            if subscription.protocol in _PROTOCOLS and wanted:
                body = _for_protocol(message, subscription.protocol, more.get("message_structure"))
                self.deliver(
                    recipient=subscription.endpoint,
                    subject=subject,
                    body=body,
                    unsubscribe_url=f"{self._endpoint_url}/unsubscribe.html"
                    f"?SubscriptionArn={subscription.arn}&Endpoint={subscription.endpoint}",
                )
            original(subscription, message, message_id, subject, message_attributes, **more)

        return publish

    def _read(self, path: Path) -> Mail:
        mail = BytesParser(policy=policy.default).parsebytes(path.read_bytes())
        body = mail.get_body(("plain",))
        return Mail(
            name=path.stem,
            subject=str(mail["Subject"]),
            recipient=str(mail["To"]),
            sent_at=mail["Date"].datetime,
            body=body.get_content().replace("\r\n", "\n") if body is not None else "",
        )


def subject_problem(subject: str) -> str | None:
    """Why SNS refuses a subject; None when it does not.

    Source: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
    """
    if not subject or len(subject) >= 100:
        return "must be 1 to 99 characters long"
    if any(character < " " or character == "\x7f" for character in subject):
        return "must not hold line breaks or control characters"
    if not subject.isascii():
        return "must be ASCII"
    if subject[0] == " ":
        return "must begin with a letter, number or punctuation mark"
    return None


def _checking_subject(original: Callable[..., str]) -> Callable[..., str]:
    def publish(backend: Any, message: str, *args: Any, **kwargs: Any) -> str:
        subject = kwargs.get("subject")
        if subject is not None and subject_problem(subject):
            raise InvalidParameterValue("Invalid parameter: Subject")
        if not message:
            raise InvalidParameterValue("Invalid parameter: Empty message")
        return original(backend, message, *args, **kwargs)

    return publish


def _for_protocol(message: str, protocol: str, structure: str | None) -> str:
    if structure != "json":
        return message
    texts = json.loads(message)
    return str(texts.get(protocol, texts["default"]))


def _footer(unsubscribe_url: str) -> str:
    return (
        "\n\n--\nIf you wish to stop receiving notifications from this topic, please click or "
        f"visit the link below to unsubscribe:\n{unsubscribe_url}\n\nPlease do not reply directly "
        "to this email. If you have any questions or comments regarding this email, please "
        "contact us at https://aws.amazon.com/support\n"
    )


# The page --------------------------------------------------------------------------------------

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5f6672; --line: #dfe2e7;
  --paper: #fff; --ground: #f4f5f7; --accent: #0b57d0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #9aa2ae; --line: #33383f;
  --paper: #1d2025; --ground: #14161a; --accent: #8ab4f8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.35rem; overflow-wrap: anywhere; }
a { color: var(--accent); }
ul { list-style: none; margin: 0; padding: 0; background: var(--paper);
  border: 1px solid var(--line); border-radius: 8px; }
li + li { border-top: 1px solid var(--line); }
li a { display: block; padding: .75rem 1rem; text-decoration: none; }
li strong { display: block; color: var(--ink); overflow-wrap: anywhere; }
small, .meta { color: var(--soft); font-size: .875rem; }
pre { background: var(--paper); border: 1px solid var(--line); border-radius: 8px;
  padding: 1rem; white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; }
"""


def _list_page(mails: list[Mail]) -> str:
    if not mails:
        return _page("Mail", "<p class=meta>No mail yet. Notices appear here as they are sent.</p>")
    items = "".join(
        f"<li><a href='/mail/{escape(mail.name)}'><strong>{escape(mail.subject)}</strong>"
        f"<small>{_when(mail)} · to {escape(mail.recipient)}</small></a></li>"
        for mail in mails
    )
    return _page("Mail", f"<ul>{items}</ul>")


def _mail_page(mail: Mail) -> str:
    meta = f"{_when(mail)} · from {escape(str(SENDER))} · to {escape(mail.recipient)}"
    body = f"<p class=meta>{meta}</p><pre>{escape(mail.body)}</pre><p><a href='/mail'>All mail</a>"
    return _page(mail.subject, body)


def _when(mail: Mail) -> str:
    moment = mail.sent_at.astimezone(UTC)
    return f"<time datetime='{moment.isoformat()}'>{moment:%Y-%m-%d %H:%M:%S} UTC</time>"


def _page(title: str, body: str) -> str:
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
        f"<main><h1>{escape(title)}</h1>{body}</main></html>"
    )


def _html(text: str, status: int = 200) -> Response:
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(text, status=status, headers=headers, mimetype="text/html")
