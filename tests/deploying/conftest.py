"""An empty stand-in cloud, and what the command says when it is used on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader

from slimreel.__main__ import main
from slimreel.empty import Accounts, furnished
from slimreel.local import REGION
from slimreel.local.cloud import Cloud
from slimreel.template import CODE_LOCATION, sam_template

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Place:
    """Accounts with nothing in them, and a package to deploy.

    Attributes:
        package: the project's own template; its zips are empty, for the stand-in runs the checkout.
    """

    accounts: Accounts
    package: Path

    @property
    def cloud(self) -> Cloud:
        return self.accounts.cloud

    def client(self, service: str) -> Any:
        return self.cloud.client(service)


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    with Cloud(folder / "cloud", ROOT, mail_asks=True) as cloud:
        yield Place(furnished(cloud), packaged(folder / "package"))


def packaged(folder: Path) -> Path:
    """What `slimreel package` leaves, without its twenty seconds of pip."""
    folder.mkdir()
    text = json.dumps(sam_template(ROOT, "local"))
    code, _, _ = CODE_LOCATION.rpartition("/")
    (folder / "sam.yaml").write_text(text.replace(f"{code}/", "./"))
    for name in ("deployment.zip", "ffmpeg-layer.zip"):
        (folder / name).write_bytes(f"not a zip: {name}".encode())
    return folder


@pytest.fixture(scope="package")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the settings of stages are, of all tests here together."""
    return tmp_path_factory.mktemp("stages")


@cache
def _one_loader(search_path_string: str | None = None) -> Loader:
    assert search_path_string is None
    return Loader()


@pytest.fixture(autouse=True)
def _surroundings(place: Place, stages: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment of somebody who works with the stand-in."""
    monkeypatch.setattr("slimreel.deploying.stage_file.STAGES_DIR", stages)
    # Each command opens a session, which reads AWS's models anew: once is enough for a test run.
    monkeypatch.setattr("botocore.session.create_loader", _one_loader)
    monkeypatch.setenv("AWS_ENDPOINT_URL", place.cloud.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    yield
    place.cloud.faults.clear()


Slimreel = Callable[..., tuple[int, str]]


@pytest.fixture
def slimreel(capsys: pytest.CaptureFixture[str]) -> Slimreel:
    """Run the command; its exit status, and what it printed, on one line where it wrapped."""

    def run(*arguments: str) -> tuple[int, str]:
        status = main([*arguments])
        return status, capsys.readouterr().out

    return run
