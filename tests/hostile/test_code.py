"""What no line of ours does, because a file's name or content could then become code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Functions by the name they are called by. `load` of json and tomllib is harmless.
FORBIDDEN = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.spawnl", "pickle.load",
    "pickle.loads", "marshal.load", "marshal.loads", "shelve.open", "yaml.load",
    "yaml.unsafe_load", "subprocess.getoutput", "subprocess.getstatusoutput", "tempfile.mktemp",
    "Markup", "markupsafe.Markup",
}  # fmt: skip


def called(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


@pytest.mark.parametrize("room", ["app.py", "chalicelib", "slimreel"])
def test_nothing_from_outside_becomes_code_or_a_shell_command(room: str) -> None:
    place = ROOT / room
    paths = [place] if place.is_file() else sorted(place.rglob("*.py"))
    assert paths
    found = []
    for path in paths:
        for call, name in called(ast.parse(path.read_text())):
            shell = any(
                option.arg == "shell" and getattr(option.value, "value", True)
                for option in call.keywords
            )
            if name in FORBIDDEN or shell:
                found.append(f"{path.relative_to(ROOT)}:{call.lineno}: {name}")
    assert found == []


def test_templates_escape_and_no_page_opts_out() -> None:
    for path in sorted((ROOT / "slimreel").rglob("*.html")):
        assert "|safe" not in path.read_text().replace(" ", ""), path
    for path in sorted((ROOT / "slimreel").rglob("*.py")):
        for call, name in called(ast.parse(path.read_text())):
            if name.endswith("Environment") and "jinja2" in path.read_text():
                options = {option.arg: ast.unparse(option.value) for option in call.keywords}
                assert options.get("autoescape") == "True", path
