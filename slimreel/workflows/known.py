"""What workflows may name: the functions of `app.py` and the presets of the project."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

_DECORATOR = "lambda_function"


def functions_of(project_dir: Path) -> frozenset[str]:
    """The functions of `app.py` that a flow may call: those of `@app.lambda_function`.

    The other triggers expect the events of SQS or EventBridge. The file is read, not imported.
    """
    source = (project_dir / "app.py").read_text(encoding="utf-8")
    return frozenset(_names(ast.parse(source)))


def presets_of(project_dir: Path) -> frozenset[str]:
    """The names in `chalicelib/data/presets.toml`."""
    file = project_dir / "chalicelib" / "data" / "presets.toml"
    return frozenset(tomllib.loads(file.read_text(encoding="utf-8")))


def _names(module: ast.Module) -> Iterator[str]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                if _is_lambda_function(decorator):
                    yield _given_name(decorator) or node.name


def _is_lambda_function(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(called, ast.Attribute) and called.attr == _DECORATOR


def _given_name(decorator: ast.expr) -> str | None:
    for keyword in decorator.keywords if isinstance(decorator, ast.Call) else []:
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return None
