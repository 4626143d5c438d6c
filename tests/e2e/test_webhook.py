"""The webhook believes nothing: only our live channel's own token starts work."""

from __future__ import annotations

import time

import requests

from tests.e2e.conftest import Studio


def notify(studio: Studio, **headers: str) -> int:
    url = studio.deployment.cloud.endpoint_url + "/api/drive/notifications"
    sent = {f"X-Goog-{name.replace('_', '-')}": value for name, value in headers.items()}
    return requests.post(url, headers=sent, timeout=10).status_code


def channel(studio: Studio) -> tuple[str, str]:
    current = studio.deployment.records.state("drive#changes", "channel")
    stored = studio.deployment.records.state(f"channel#{current['channel_id']}", "channel")
    return current["channel_id"], stored["token"]


def hints(studio: Studio) -> int:
    """How many hints were taken, once those on their way have arrived."""
    counted, since = -1, time.monotonic()
    while time.monotonic() - since < 1.5:
        now = int(studio.deployment.records.state("drive#changes", "sync").get("hints", 0))
        if now != counted:
            counted, since = now, time.monotonic()
        time.sleep(0.1)
    return counted


def test_the_right_token_is_welcome(studio: Studio) -> None:
    channel_id, token = channel(studio)
    headers = {"Channel_ID": channel_id, "Channel_Token": token}
    assert notify(studio, **headers, Resource_State="sync") == 200
    assert notify(studio, **headers, Resource_State="change") == 200
    assert notify(studio, **headers, Resource_State="a state of the future") == 200


def test_a_missing_wrong_or_foreign_token_starts_nothing(studio: Studio) -> None:
    channel_id, token = channel(studio)
    before = hints(studio)
    assert notify(studio, Resource_State="change") == 403
    assert notify(studio, Channel_ID=channel_id, Resource_State="change") == 403
    assert (
        notify(studio, Channel_ID=channel_id, Channel_Token=token[:-1], Resource_State="change")
        == 403
    )
    assert notify(studio, Channel_ID="x" * 64, Channel_Token=token, Resource_State="change") == 403
    assert (
        notify(studio, Channel_ID="x" * 9000, Channel_Token=token, Resource_State="change") == 403
    )
    assert hints(studio) == before


def test_an_expired_channel_starts_nothing(studio: Studio) -> None:
    expired = {"token": "once good", "valid_until": "2020-01-01T00:00:00.000Z"}
    studio.deployment.records.save_state("channel#expired", "channel", expired)
    before = hints(studio)
    assert (
        notify(studio, Channel_ID="expired", Channel_Token="once good", Resource_State="change")
        == 403
    )
    assert hints(studio) == before
