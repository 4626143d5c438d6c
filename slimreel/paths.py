"""Where things lie on this machine."""

from __future__ import annotations

import os
from pathlib import Path

#: The checkout whose app, workflows and template are run.
PROJECT_DIR = Path(__file__).resolve().parent.parent
#: Where `slimreel up` keeps what it knows, and where the other commands look for it.
UP_DIR = PROJECT_DIR / ".slimreel" / "up"
#: Where `slimreel up --empty` keeps an account with nothing of Slimreel in it.
EMPTY_DIR = PROJECT_DIR / ".slimreel" / "empty"
#: The settings of each stage, as a person wrote them. Not everybody keeps them with the code.
STAGES_DIR = Path(os.environ.get("SLIMREEL_STAGES") or PROJECT_DIR / "stages")
