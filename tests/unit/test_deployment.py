"""What a deployment on an older data directory must set right before it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chalicelib.steps.channel import CURRENT, renew
from slimreel.local import deployment as deployments
from slimreel.local.deployment import Deployment
from tests.fakes import World


@dataclass
class Restarted:
    """One data directory, and the address under which the cloud on it now answers."""

    world: World
    data_dir: Path

    def at(self, address: str) -> None:
        cloud = SimpleNamespace(data_dir=self.data_dir, endpoint_url=address)
        standing = SimpleNamespace(cloud=cloud, records=self.world.records, drive=self.world.drive)
        deployments._close_misled_channel(cast(Deployment, standing))

    def channel(self) -> dict[str, Any]:
        return self.world.records.state(*CURRENT)


@pytest.fixture
def restarted(tmp_path: Path) -> Restarted:
    restarted = Restarted(World(), tmp_path)
    restarted.at("http://127.0.0.1:4680")
    renew(restarted.world.services)
    return restarted


def test_at_the_same_address_the_channel_stays(restarted: Restarted) -> None:
    before = restarted.channel()
    restarted.at("http://127.0.0.1:4680")
    assert before and restarted.channel() == before


def test_after_a_move_a_new_channel_is_opened_and_the_old_one_closed(restarted: Restarted) -> None:
    before = restarted.channel()
    restarted.at("http://127.0.0.1:4681")
    assert restarted.channel() == {}
    assert renew(restarted.world.services)
    assert restarted.channel()["channel_id"] != before["channel_id"]
    assert before["channel_id"] in restarted.world.drive.stopped


def test_the_template_is_made_again_only_when_something_it_is_made_of_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    for file in ("app.py", ".chalice/config.json", "workflows/a.toml", "chalicelib/x/y.py"):
        (project / file).parent.mkdir(parents=True, exist_ok=True)
        (project / file).write_text("1")
    made: list[str] = []

    def cloudformation(_: Path, stage: str) -> dict[str, Any]:
        made.append(stage)
        return {"number": len(made)}

    monkeypatch.setattr("slimreel.template.cloudformation", cloudformation)
    assert deployments._template(tmp_path, project) == {"number": 1}
    assert deployments._template(tmp_path, project) == {"number": 1}
    for number, file in enumerate(("chalicelib/x/y.py", "workflows/a.toml", "app.py"), start=2):
        (project / file).write_text("2")
        assert deployments._template(tmp_path, project) == {"number": number}
    (tmp_path / "template.json").write_text('{"key": "torn')
    assert deployments._template(tmp_path, project) == {"number": 5}
