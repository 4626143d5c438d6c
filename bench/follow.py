"""Types docs/deploy.md into a terminal, word by word, against an empty stand-in cloud.

Every `console` block is run in one shell, in order; questions are answered as a person would, mails
confirmed by their links, the test video dropped. A command that fails ends it.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import requests

from slimreel.empty import Accounts, furnished
from slimreel.local import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from slimreel.local.cloud import Cloud
from slimreel.paths import PROJECT_DIR

DOCUMENT = PROJECT_DIR / "docs" / "deploy.md"
LONGEST_S = 600.0  # of one command; packaging downloads
#: What was typed before getpass switched the echo off is thrown away by it.
HIDES_WITHIN_S = 3.0
#: What is typed when something was asked; None for nothing.
Reply = Callable[[re.Match[str]], str | None]
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
#: What is drawn over: everything before the cursor went back to the line's beginning.
_DRAWN_OVER = re.compile(r"[^\n]*\r(?!\n)")
_END = re.compile(r"@@ended (\d+)@@")


class Stuck(Exception):
    """A command failed, or asked for what nobody expected; the message holds its last words."""


def commands(text: str) -> Iterator[str]:
    """What follows a `$ ` in the document's console blocks."""
    for block in _BLOCK.findall(text):
        yield from (line[2:] for line in block.splitlines() if line.startswith("$ "))


class Terminal:
    """A shell with a terminal of its own."""

    def __init__(self, environment: Mapping[str, str], cwd: Path) -> None:
        self.pid, self._fd = pty.fork()
        if not self.pid:
            os.chdir(cwd)
            os.execvpe("bash", ["bash", "--norc", "--noprofile"], dict(environment))
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.type("PS1=; stty -echo; shopt -s expand_aliases; echo @@ended $((0))@@")
        self._until_end({})

    def run(self, command: str, replies: Mapping[str, Reply]) -> str:
        """What the command printed.

        Raises:
            Stuck: its status is not 0, or it takes too long.
        """
        self.type(f"{command}; echo @@ended $?@@")  # one line: the next would be an answer
        return self._until_end(replies)

    def type(self, text: str) -> None:
        os.write(self._fd, f"{text}\n".encode())

    def close(self) -> None:
        os.kill(self.pid, signal.SIGHUP)
        os.close(self._fd)
        os.waitpid(self.pid, 0)

    def _until_end(self, replies: Mapping[str, Reply]) -> str:
        said, answered, end = "", 0, time.monotonic() + LONGEST_S
        while time.monotonic() < end:
            if select.select([self._fd], [], [], 1.0)[0]:
                text = os.read(self._fd, 65536).decode(errors="replace")
                said += _CONTROL.sub("", text.replace("\x1b[2K", "\r"))
            for asked, reply in replies.items():
                found = re.compile(asked).search(said, answered)
                if found:
                    answered = found.end()
                    typed = reply(found)
                    if typed is not None:
                        self.type(typed)
            ended = _END.search(said)
            if ended:
                if ended[1] != "0":
                    raise Stuck(f"Status {ended[1]}:\n{_DRAWN_OVER.sub('', said)[-3000:]}")
                return said[: ended.start()]
        raise Stuck(f"No end within {LONGEST_S:.0f} s:\n{said[-3000:]}")


def replies(made: Accounts) -> dict[str, Reply]:
    """What a person answers, by what is asked."""

    def confirmed(_: re.Match[str]) -> str:
        for mail in made.cloud.mailbox.mails():
            for link in re.findall(r"http://\S+confirm-subscription\S+", mail.body):
                requests.get(link, timeout=10)
        return ""

    def dropped(found: re.Match[str]) -> None:
        shutil.move(found[1], made.folder)

    link = f"https://drive.google.com/drive/folders/{made.folder_id}?usp=sharing"
    fixed = {
        r"Path of the JSON key that was downloaded: ": str(made.google_key),
        r"The folder's link, or its id: ": link,
        r"The Airtable base's link or id[^:]*: ": f"https://airtable.com/{made.base_id}/",
        r"Who gets results of every video[^:]*: ": "team@example.com",
        r"Who gets what needs the engineer[^:]*: ": "engineer@example.com",
        r"\[y/N\] ": "y",
        r"Type prod to go on: ": "prod",
    }

    def in_secret(_: re.Match[str]) -> str:
        time.sleep(HIDES_WITHIN_S)
        return made.cloud.airtable_token

    answers = {asked: _always(answer) for asked, answer in fixed.items()}
    return answers | {
        r"The token, or the path of a file that holds it: ": in_secret,
        r"Press Enter once that is done\. ": confirmed,
        r"Drop (.+\.mp4) into ": dropped,
    }


def _always(answer: str) -> Reply:
    return lambda _: answer


def follow(made: Accounts, scratch: Path, say: Callable[[str], None]) -> None:
    """
    Raises:
        Stuck: see there.
    """
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        "TERM": "xterm",
        "AWS_ENDPOINT_URL": made.cloud.endpoint_url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_REGION": REGION,
        "SLIMREEL_STAGES": str(scratch / "stages"),
    }
    terminal = Terminal(environment, PROJECT_DIR)
    try:
        for command in commands(DOCUMENT.read_text(encoding="utf-8")):
            begun = time.monotonic()
            say(f"$ {command}")
            said = terminal.run(command, replies(made))
            last = [line for line in _DRAWN_OVER.sub("", said).splitlines() if line.strip()][-12:]
            say("\n".join(f"    {line.rstrip()}" for line in last))
            say(f"  {time.monotonic() - begun:.0f} s")
    finally:
        terminal.close()


def main() -> int:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    with tempfile.TemporaryDirectory(prefix="slimreel-follow-") as name:
        scratch = Path(name)
        with Cloud(scratch / "cloud", PROJECT_DIR, mail_asks=True) as cloud:
            try:
                follow(furnished(cloud), scratch, lambda text: print(text, flush=True))
            except Stuck as problem:
                print(problem)
                return 1
    print("docs/deploy.md was followed to its end.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
