"""The steps of `slimreel setup`: each looks, asks for what is missing, and looks again."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from slimreel import airtable as base_setup
from slimreel.deploying.deploy import Wanted, deploy
from slimreel.deploying.parameters import values_of
from slimreel.deploying.stage_file import StageFile, write
from slimreel.doctor import Finding, Verdict, airtable, aws, google
from slimreel.doctor.command import show
from slimreel.doctor.examine import CHECKS, examine
from slimreel.doctor.google import KEY_PAGE, key_problem
from slimreel.doctor.site import AIRTABLE_TOKEN, CALLBACK_KEY, GOOGLE_KEY, LINK_KEY, Site
from slimreel.setup.answers import Answers

_FOLDER_LINK = re.compile(r"https://drive\.google\.com/drive/(?:u/\d+/)?folders/([\w-]{10,128})")
_BASE = re.compile(r"(?:https://airtable\.com/)?(app[A-Za-z0-9]{14})")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
#: How long Drive's first message may take.
RINGS_WITHIN_S = 60.0
_LOOK_EVERY_S = 1.0


class Guide:
    """One walk through the steps.

    Args:
        package: gives the folder of what is deployed; called when it comes to that.
        ask: a yes or no, as `deploy` asks it.
    """

    def __init__(
        self,
        site: Site,
        file: StageFile,
        answers: Answers,
        console: Console,
        *,
        package: Callable[[], Path],
        ask: Callable[[str], bool],
    ) -> None:
        self._site, self._file, self._answers, self._console = site, file, answers, console
        self._package, self._ask = package, ask
        self._found: dict[str, Finding] = {}  # the latest of each check
        self._wanted = dict(file.parameters)
        site.wanted = self._wanted

    def walk(self) -> bool:
        """Whether everything is well at the end.

        Raises:
            Unanswered: a person is needed; what was done until then stays.
            CannotDeploy, Stopped: from the deployment.
        """
        self._title("AWS")
        self._show(*aws.account(self._site))
        self._title("Google Drive")
        self._google_key()
        self._folder()
        self._title("Airtable")
        self._airtable()
        self._title("Who is told")
        self._email("NoticeEmail", "notice_email", "results of every video")
        self._email("AlarmEmail", "alarm_email", "what needs the engineer")
        self._title("Deploy")
        self._quota()
        self._link_key()
        self._deploy()
        self._title("Connect")
        self._confirm()
        self._channel()
        return self._last_look()

    # Steps --------------------------------------------------------------------------------

    def _google_key(self) -> None:
        while True:
            found = next(google.key(self._site))
            if found.verdict is Verdict.OK:
                self._show(found)
                return
            self._show(found)
            self._say(f"A service account is made at {KEY_PAGE}: Create, Keys, Add key, JSON.")
            named = self._answers.ask("google_key", "Path of the JSON key that was downloaded")
            path = self._answers.folder / Path(named).expanduser()
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as problem:
                self._say(f"{path} cannot be read: {problem}")
                continue
            problem_found = key_problem(text)
            if problem_found:
                self._say(f"{path}: {problem_found}")
                continue
            self._site.store_secret(GOOGLE_KEY, json.dumps(json.loads(text)))
            self._say(f"Stored in {self._site.secret_path(GOOGLE_KEY)}; the file may be deleted.")

    def _folder(self) -> None:
        folder_id = self._site.setting("DriveInboxFolder")
        while True:
            if folder_id:
                found = google.folder(self._site, "drive-folder-compress", folder_id)
                self._show(found)
                if found.verdict is Verdict.OK:
                    self._set(DriveInboxFolder=folder_id)
                    return
                if self._answers.is_person:
                    self._answers.pause("Share the folder, or press Enter to name another.")
                    if google.folder(self._site, "drive-folder", folder_id).verdict is Verdict.OK:
                        continue
            self._say(f"Share the folder to be watched with {self._site.robot}, as Viewer.")
            named = self._answers.ask("drive_folder", "The folder's link, or its id")
            link = _FOLDER_LINK.match(named)
            folder_id = link[1] if link else named

    def _airtable(self) -> None:
        while True:
            if self._site.setting("AirtableBaseId"):
                found = next(airtable.base(self._site))
                if found.verdict is Verdict.OK:
                    self._show(found)
                    return
                self._show(found)
            named = self._answers.ask(
                "airtable_base", "The Airtable base's link or id (empty: no Airtable)"
            )
            if not named:
                self._say("No rows will be kept.")
                self._set(AirtableBaseId="")
                return
            base = _BASE.match(named)
            if not base:
                self._say(f"{named} is no base: its id begins with app, as in its address.")
                continue
            token = self._token()
            try:
                report = base_setup.setup(
                    token=token,
                    base_id=base[1],
                    table=self._site.setting("AirtableTable"),
                    api_url=self._site.setting("AirtableApiUrl"),
                )
            except base_setup.SetupFailed as problem:
                self._say(str(problem))
                continue
            self._site.store_secret(AIRTABLE_TOKEN, token)
            self._set(AirtableBaseId=base[1], AirtableTable=report.table_id)
            self._say(f"Table {report.table_name}: {report.table_url}")
            for task in report.by_hand:
                self._say(f"By hand, when you like: {task}")

    def _token(self) -> str:
        self._say(
            f"A token is made at {airtable.TOKEN_PAGE}: scopes schema.bases:read, "
            "schema.bases:write, data.records:read, data.records:write and, for reviews, "
            "webhook:manage; access to this base."
        )
        given = self._answers.ask(
            "airtable_token", "The token, or the path of a file that holds it", secret=True
        )
        path = self._answers.folder / Path(given).expanduser()
        return path.read_text(encoding="utf-8").strip() if path.is_file() else given

    def _email(self, setting: str, name: str, what: str) -> None:
        if self._site.setting(setting):
            self._say(f"{self._site.setting(setting)} gets {what}.")
            self._set(**{setting: self._site.setting(setting)})
            return
        while True:
            given = self._answers.ask(name, f"Who gets {what} (an email address, or nothing)")
            if not given or _EMAIL.fullmatch(given):
                break
            self._say(f"{given} is no email address.")
        self._set(**{setting: given})

    def _quota(self) -> None:
        found = next(aws.concurrency(self._site))
        if found.verdict is Verdict.WRONG:
            self._show(found)
            self._say("So nothing is reserved until then: both are set to 0.")
            self._set(FetchConcurrency="0", AnswerConcurrency="0")
        self._show(next(aws.concurrency(self._site)))

    def _link_key(self) -> None:
        if self._site.secret(LINK_KEY) is None:  # made once: links stay good
            self._site.store_secret(LINK_KEY, secrets.token_urlsafe(32))
            self._say(f"Made a key for links to results: {self._site.secret_path(LINK_KEY)}")
        if self._site.secret(CALLBACK_KEY) is None:  # used once somebody asks to be called back
            self._site.store_secret(CALLBACK_KEY, secrets.token_urlsafe(32))

    def _deploy(self) -> None:
        found = next(aws.stack(self._site))
        present = values_of(self._site.stack or {})
        same = all(present.get(name) == value for name, value in self._wanted.items())
        if found.verdict is Verdict.OK and same:
            self._show(found)
            return
        wanted = Wanted(
            stage=self._site.stage, package=self._package(), from_file=dict(self._wanted)
        )
        deploy(self._site.account, wanted, ask=self._ask, console=self._console)
        self._site.forget()
        self._show(next(aws.stack(self._site)))

    def _confirm(self) -> None:
        while True:
            found = [*aws.subscriptions(self._site)]
            self._show(*found)
            waiting = [one for one in found if one.verdict is Verdict.WRONG]
            if not waiting or not self._answers.is_person:
                return
            self._answers.pause("Confirm by the links in those mails.")

    def _channel(self) -> None:
        """Open the channel, and wait for its first message."""
        if next(google.channel(self._site)).verdict is Verdict.WRONG:
            self._open_channel()
            end = time.monotonic() + RINGS_WITHIN_S
            with self._console.status("Waiting for Drive to ring …"):
                while time.monotonic() < end:
                    if next(google.channel(self._site)).verdict is not Verdict.WRONG:
                        break
                    time.sleep(_LOOK_EVERY_S)
        self._show(next(google.channel(self._site)))

    def _open_channel(self) -> None:
        """Call the function that does so every hour, as its schedule would."""
        event = {
            "version": "0",
            "id": "slimreel-setup",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": self._site.account.account_id,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "region": self._site.account.region,
            "resources": [],
            "detail": {},
        }
        answer = self._site.account.client("lambda").invoke(
            FunctionName=f"slimreel-{self._site.stage}-renew_channel", Payload=json.dumps(event)
        )
        if "FunctionError" in answer:
            said = json.loads(answer["Payload"].read()).get("errorMessage", "")
            self._say(f"The channel was not opened: {said}")

    def _last_look(self) -> bool:
        self._title("Altogether")
        unseen = [check.name for check in CHECKS if check.name not in self._looked_at]
        self._show(*examine(self._site, unseen))
        ill = [one for one in self._found.values() if one.verdict is Verdict.WRONG]
        if ill:
            self._say(f"{len(ill)} left to do; then run this again.")
        else:
            self._say("All is well. Now send a video of two seconds through it:")
            self._say(f"slimreel doctor --stage {self._site.stage} --video")
        return not ill

    @property
    def _looked_at(self) -> set[str]:
        return {name for name, one in self._found.items() if one.verdict is not Verdict.UNKNOWN}

    # Helpers ------------------------------------------------------------------------------

    def _set(self, **parameters: str) -> None:
        """Remember settings, in the stage's file."""
        if any(self._wanted.get(name) != value for name, value in parameters.items()):
            self._wanted.update(parameters)
            self._write(self._wanted)

    def _write(self, parameters: Mapping[str, str]) -> None:
        write(self._file, region=self._site.account.region, parameters=parameters)

    def _show(self, *findings: Finding) -> None:
        for finding in findings:
            show(finding, self._console)
            self._found[finding.check] = finding

    def _say(self, text: str) -> None:
        self._console.print(f"  {text}", soft_wrap=True, markup=False)

    def _title(self, text: str) -> None:
        self._console.print(f"\n{text}", style="bold", markup=False)
