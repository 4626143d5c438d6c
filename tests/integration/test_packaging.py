"""What goes to AWS, without the dependencies: downloading those is `make package`'s to show."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from slimreel.packaging import PackagingFailed, _chalice_package
from slimreel.packaging.staging import stage_sources
from slimreel.packaging.trim import pack, trim
from slimreel.template import merge_template

PROJECT_DIR = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with sam.yaml and deployment.zip, of a project that needs no packages."""
    folder = tmp_path_factory.mktemp("package")
    staged = folder / "project"
    stage_sources(PROJECT_DIR, staged)
    (staged / "requirements.txt").write_text("")
    merge = folder / "merge.json"
    merge.write_text(json.dumps(merge_template(staged, "prod")))
    _chalice_package(staged, "prod", merge, folder / "out", PROJECT_DIR / "constraints.txt")
    return folder / "out"


def test_every_flow_and_its_settings_travel(package: Path) -> None:
    with zipfile.ZipFile(package / "deployment.zip") as packed:
        names = packed.namelist()
    here = [path.name for path in (PROJECT_DIR / "workflows").iterdir() if path.is_file()]
    assert {f"workflows/{name}" for name in here} <= set(names)
    assert "chalicelib/data/presets.toml" in names
    assert not [name for name in names if name.startswith(("slimreel/", "tests/", "vendor/"))]
    assert not [name for name in names if "__pycache__" in name]


def test_the_trimmed_package_reads_its_flows_and_has_bytecode(
    package: Path, tmp_path: Path
) -> None:
    trim(package / "deployment.zip", tmp_path / "code.zip")
    with zipfile.ZipFile(tmp_path / "code.zip") as packed:
        packed.extractall(tmp_path / "task")
    tag = sys.implementation.cache_tag
    assert (tmp_path / f"task/chalicelib/domain/__pycache__/plan.{tag}.pyc").exists()
    program = "from chalicelib.config import all_workflows; print(*all_workflows())"
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, '.'); {program}"],
        cwd=tmp_path / "task",
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == sorted(
        path.stem for path in (PROJECT_DIR / "workflows").glob("*.toml")
    )


def test_the_same_package_gives_the_same_bytes(package: Path, tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("first.zip", "second.zip"))
    assert trim(package / "deployment.zip", first) == trim(package / "deployment.zip", second)
    assert first.read_bytes() == second.read_bytes()


def test_of_googles_api_descriptions_only_drives_is_kept(tmp_path: Path) -> None:
    documents = tmp_path / "all/googleapiclient/discovery_cache/documents"
    documents.mkdir(parents=True)
    for name in ("drive.v3.json", "drive.v2.json", "abusiveexperience.v1.json"):
        (documents / name).write_text("{}")
    pack(tmp_path / "all", tmp_path / "all.zip")
    size = trim(tmp_path / "all.zip", tmp_path / "trimmed.zip")
    with zipfile.ZipFile(tmp_path / "trimmed.zip") as packed:
        assert packed.namelist() == ["googleapiclient/discovery_cache/documents/drive.v3.json"]
    assert size.unpacked_bytes == 2


def test_what_no_program_reads_stays_behind(tmp_path: Path) -> None:
    names = [
        *("a/a.py", "a/a.pyi", "a/a.proto", "a-1.dist-info/RECORD", "a-1.dist-info/METADATA"),
        *("pyasn1/a.py", "pyasn1_modules-0.4.2.dist-info/METADATA", "pycparser/b/c.py"),
    ]
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as packed:
        for name in names:
            packed.writestr(name, "")
    trim(tmp_path / "all.zip", tmp_path / "trimmed.zip")
    with zipfile.ZipFile(tmp_path / "trimmed.zip") as packed:
        left = [name for name in packed.namelist() if "__pycache__" not in name]
    assert sorted(left) == ["a-1.dist-info/METADATA", "a/a.py"]


def test_files_keep_neither_time_nor_owner_but_the_right_to_run(tmp_path: Path) -> None:
    (tmp_path / "layer").mkdir()
    tool = tmp_path / "layer" / "ffmpeg"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o700)
    pack(tmp_path / "layer", tmp_path / "layer.zip")
    with zipfile.ZipFile(tmp_path / "layer.zip") as packed:
        (entry,) = packed.infolist()
    assert (entry.external_attr >> 16) & 0o777 == 0o755
    assert entry.date_time == (1980, 1, 1, 0, 0, 0)


def test_a_package_that_cannot_be_made_says_what_chalice_said(tmp_path: Path) -> None:
    staged = tmp_path / "project"
    stage_sources(PROJECT_DIR, staged)
    shutil.rmtree(staged / "chalicelib")
    with pytest.raises(PackagingFailed, match="chalicelib"):
        _chalice_package(
            staged, "prod", tmp_path / "none.json", tmp_path / "out", Path("constraints.txt")
        )
