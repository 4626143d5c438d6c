"""Where answers come from: a person at the terminal, or a file for those who script it.

    # answers.toml
    google_key = "google-key.json"          # path of the service account's key file
    drive_folder = "https://drive.google.com/drive/folders/1AbC…"
    airtable_token = "airtable-token"       # path of a file that holds the token
    airtable_base = "https://airtable.com/appXXXXXXXXXXXXXX/…"   # "" for no Airtable
    notice_email = "team@example.com"
    alarm_email = "engineer@example.com"

Paths are seen from the file's folder.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from rich.console import Console

from slimreel.deploying import CannotDeploy

NAMES = (
    "google_key",
    "drive_folder",
    "airtable_token",
    "airtable_base",
    "notice_email",
    "alarm_email",
)


class Unanswered(Exception):
    """Nobody is there to answer, or the answer in the file does not do. The message says which."""


class Answers:
    """
    Attributes:
        is_person: somebody is there who can try again, and do things meanwhile.
        folder: from where a relative path is seen.
    """

    def __init__(self, file: Path | None, console: Console) -> None:
        """
        Raises:
            CannotDeploy: the file cannot be read, or has names that are not asked for.
        """
        self._console = console
        self._given = _read(file) if file is not None else {}
        self._used: set[str] = set()
        self.is_person = file is None and sys.stdin.isatty()
        self.folder = file.parent if file is not None else Path.cwd()

    def ask(self, name: str, question: str, *, secret: bool = False) -> str:
        """One answer.

        Raises:
            Unanswered: see there; an answer from the file is good for one try.
        """
        if name in self._given and name not in self._used:
            self._used.add(name)
            return self._given[name].strip()
        if not self.is_person:
            state = "did not do" if name in self._used else "is missing"
            raise Unanswered(f"The answer {name} {state}. Asked was: {question}")
        return self._console.input(f"{question}: ", markup=False, password=secret).strip()

    def pause(self, what: str) -> None:
        """Wait until a person has done something.

        Raises:
            Unanswered: nobody is there.
        """
        if not self.is_person:
            raise Unanswered(what)
        self._console.print(what, soft_wrap=True, markup=False)
        self._console.input("Press Enter once that is done. ")


def _read(file: Path) -> dict[str, str]:
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise CannotDeploy(f"{file} cannot be read: {problem}") from problem
    unknown = sorted(told.keys() - {*NAMES})
    if unknown:
        raise CannotDeploy(f"{file} answers {', '.join(unknown)}; asked are {', '.join(NAMES)}.")
    return {name: str(value) for name, value in told.items()}
