"""The service account, the folders it is shown, and the channel by which Drive rings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from chalicelib.adapters.drive_errors import CallRefused, DriveError, FileGone
from chalicelib.domain.drive import FOLDER_TYPE
from chalicelib.domain.text import parse_iso
from chalicelib.domain.write_back import BESIDE
from chalicelib.steps.channel import CURRENT
from chalicelib.steps.sync import STATE
from slimreel.doctor import Finding, Verdict, note, ok, wrong
from slimreel.doctor.site import GOOGLE_KEY, Site

KEY_PAGE = "https://console.cloud.google.com/iam-admin/serviceaccounts"
API_PAGE = "https://console.cloud.google.com/apis/library/drive.googleapis.com"
_NEEDED = ("type", "client_email", "private_key", "token_uri")
#: A working day and a night without a single change in Drive are likely; two are not.
QUIET = timedelta(days=2)


def key_problem(text: str) -> str:
    """What is wrong with a key file's content, before Google is asked; empty for nothing."""
    try:
        told = json.loads(text)
    except ValueError:
        return "It is not JSON: it should be the file that Google offered for download."
    if not isinstance(told, dict):
        return "It is JSON, but no key file."
    if "installed" in told or "web" in told:
        return "It is an OAuth client, not a service account's key."
    if told.get("type") not in ("service_account", "authorized_user"):
        return "It does not say that it is a service account's key."
    missing = [name for name in _NEEDED if not told.get(name)]
    if told["type"] == "service_account" and missing:
        return f"It lacks {', '.join(missing)}."
    return ""


def key(site: Site) -> Iterator[Finding]:
    again = (
        f"Make a JSON key of a service account at {KEY_PAGE} and run slimreel setup --stage "
        f"{site.stage}"
    )
    text = site.google_key
    if text is None:
        yield wrong("google-key", f"No key is stored in {site.secret_path(GOOGLE_KEY)}.", again)
        return
    problem = key_problem(text)
    if problem:
        yield wrong("google-key", f"The stored key cannot be used. {problem}", again)
        return
    try:
        site.drive.start_page_token()
    except CallRefused as refused:
        enable = f"Switch the Drive API on at {API_PAGE}, wait a minute, and look again. "
        if "accessNotConfigured" in (refused.code or "") or "disabled" in refused.reason:
            yield wrong("google-key", "The Drive API is not switched on in its project.", enable)
        else:
            yield wrong("google-key", f"Google refuses the key: {refused.reason}", again)
        return
    except DriveError as failure:
        yield wrong("google-key", f"Google cannot be asked: {failure.reason}",
                    "Check the network, and run slimreel doctor again.")  # fmt: skip
        return
    yield ok("google-key", f"Google knows {site.robot or 'the account'}.")


def folders(site: Site) -> Iterator[Finding]:
    """One finding for each workflow."""
    watched = 0
    for workflow, parameter in site.folders.items():
        fixed = parameter.startswith("=")
        folder_id = parameter[1:] if fixed else site.setting(parameter)
        check = f"drive-folder-{workflow}"
        if not folder_id:
            if parameter == "DriveInboxFolder":
                yield wrong(check, f"{workflow} watches nothing: {parameter} is empty.",
                            f"slimreel setup --stage {site.stage}")  # fmt: skip
            else:
                yield note(check, f"{workflow} watches nothing: {parameter} is empty.",
                           f"If you want it: slimreel deploy --stage {site.stage} --parameter "
                           f"{parameter}=FOLDER_ID")  # fmt: skip
            continue
        watched += 1
        found = folder(site, check, folder_id)
        yield found
        if found.verdict is Verdict.OK:
            drive_id = site.drive.get(folder_id).shared_drive_id
            if drive_id is not None:
                yield _drive_log(site, f"drive-log-{workflow}", drive_id)


def _drive_log(site: Site, check: str, drive_id: str) -> Finding:
    """How films dropped into a shared drive are found."""
    try:
        site.drive.start_page_token(drive_id)
    except (CallRefused, FileGone):
        return note(
            check,
            "The folder is in a shared drive whose change log Google does not show to "
            f"{site.robot or 'the account'}: films are found as long as the account's own log "
            "tells of them.",
            f"To be sure, open https://drive.google.com/drive/folders/{drive_id}, choose Manage "
            "members, add the account as Viewer, and run slimreel backfill for what came before.",
        )
    return ok(
        check,
        "The folder is in a shared drive, whose own log is read: every 15 minutes, and whenever "
        "Drive rings.",
    )


def folder(site: Site, check: str, folder_id: str, role: str = "Viewer") -> Finding:
    """Whether the robot sees this folder, and what it is.

    Args:
        role: in which it is to be shared with the robot.
    """
    link = f"https://drive.google.com/drive/folders/{folder_id}"
    try:
        found = site.drive.get(folder_id)
    except FileGone:
        return wrong(
            check,
            f"{site.robot} does not see a folder {folder_id}.",
            f"Open {link}, choose Share, and add {site.robot} as {role}. If the page does not "
            "open, the id is wrong: copy it from the folder's address in the browser.",
        )
    except DriveError as failure:
        return wrong(check, f"Drive does not show {folder_id}: {failure.reason}",
                     f"Share {link} with {site.robot} as {role}.")  # fmt: skip
    if found.mime_type != FOLDER_TYPE:
        return wrong(check, f"{folder_id} is the file “{found.name}”, no folder.",
                     "Give the id of the folder: the last part of its address.")  # fmt: skip
    if found.trashed:
        return wrong(check, f"The folder “{found.name}” is in the bin.", f"Restore it: {link}")
    return ok(check, f"“{found.name}” is shared with {site.robot}.")


def results(site: Site) -> Iterator[Finding]:
    """One finding for each workflow that puts its results into Drive."""
    for workflow, to in site.results.items():
        check, folder_id = f"drive-results-{workflow}", to
        if to == BESIDE:
            parameter = site.folders[workflow]
            folder_id = parameter[1:] if parameter.startswith("=") else site.setting(parameter)
        if folder_id:
            yield _takes_results(site, check, folder_id)


def _takes_results(site: Site, check: str, folder_id: str) -> Finding:
    found = folder(site, check, folder_id, role="Editor")
    if found.verdict is not Verdict.OK:
        return found
    file = site.drive.get(folder_id)
    link = f"https://drive.google.com/drive/folders/{folder_id}"
    if not file.can_add:
        return wrong(
            check,
            f"{site.robot or 'The account'} may not put results into “{file.name}”.",
            f"Open {link}, choose Share, and make it an Editor; a Contributor in a shared drive.",
        )
    if site.robot and file.shared_drive_id is None:
        return wrong(
            check,
            f"“{file.name}” is in somebody's My Drive, where a service account can own no files.",
            "Use a folder of a shared drive, or let Slimreel act for a person: docs/write-back.md.",
        )
    return ok(check, f"Results may be put into “{file.name}”.")


def channel(site: Site) -> Iterator[Finding]:
    """The channel is open, and Drive has rung through it."""
    now = datetime.now(UTC)
    current, state = site.records.state(*CURRENT), site.records.state(*STATE)
    open_it = f"slimreel setup --stage {site.stage} opens it (or wait: it is tried every hour)."
    if not current.get("channel_id"):
        yield wrong("drive-channel", "No push channel is open: new videos are found by the sweep "
                    "only.", open_it)  # fmt: skip
        return
    if parse_iso(current["renew_at"]) + timedelta(days=1) < now:
        yield wrong("drive-channel", f"The push channel should have been renewed at "
                    f"{current['renew_at']}.", open_it)  # fmt: skip
        return
    if state.get("heard_channel") != current["channel_id"]:
        url = f"{site.setting('PublicUrl')}/drive/notifications"
        yield wrong(
            "drive-channel",
            "The channel is open, but Drive has not rung through it yet.",
            f"Google must reach {url} by HTTPS with a valid certificate. Wait a minute and look "
            "again; then look into the log of the function api_handler for what was refused.",
        )
        return
    at = parse_iso(state["heard_at"])
    if now - at > QUIET:
        yield note("drive-channel", f"Drive rang last on {at:%Y-%m-%d %H:%M} UTC.",
                   "If files were dropped since, slimreel setup opens a new channel.")  # fmt: skip
    else:
        yield ok("drive-channel", f"Open; Drive rang last on {at:%Y-%m-%d %H:%M} UTC.")
