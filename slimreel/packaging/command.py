"""`slimreel package`: the command."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from slimreel.packaging import PackagingFailed, build
from slimreel.packaging.layer import NoFfmpeg
from slimreel.packaging.trim import Size
from slimreel.paths import PROJECT_DIR
from slimreel.template import BadTemplate

#: A function and its layers together, unpacked.
#: Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LAMBDA_LIMIT_BYTES = 250 * 2**20


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    package = commands.add_parser(
        "package",
        help="build what goes to AWS: template, functions, ffmpeg layer",
        description="Build the deployment package: sam.yaml, deployment.zip and ffmpeg-layer.zip. "
        "The same sources give the same bytes. Needs the package registry, no account.",
    )
    package.add_argument("--stage", default="prod", help="of .chalice/config.json (%(default)s)")
    package.add_argument(
        "--out", type=Path, default=PROJECT_DIR / "build", metavar="DIR", help="(default: ./build)"
    )
    package.set_defaults(run=_run)


def _run(options: argparse.Namespace, console: Console) -> int:
    try:
        with console.status("Packaging …") as status:
            built = build(
                PROJECT_DIR, options.stage, options.out, lambda now: status.update(f"{now} …")
            )
    except (BadTemplate, PackagingFailed, NoFfmpeg) as problem:
        console.print(f"Nothing was packaged: {problem}", style="red", markup=False)
        return 1
    together = built.code.unpacked_bytes + built.layer.unpacked_bytes
    console.print(f"{built.folder}/sam.yaml           stage {options.stage}")
    console.print(f"{built.folder}/deployment.zip     {_sizes(built.code)}")
    console.print(f"{built.folder}/ffmpeg-layer.zip   {_sizes(built.layer)}, for measure only")
    if together > LAMBDA_LIMIT_BYTES:
        console.print(
            "Function and layer together are over Lambda's limit of 250 MiB.", style="red"
        )
        return 1
    return 0


def _sizes(size: Size) -> str:
    return f"{size.packed_bytes / 1e6:.1f} MB, {size.unpacked_bytes / 1e6:.1f} MB unpacked"
