"""Where clips stay from one run to the next; runs are made near by. `make clean` removes all."""

from slimreel.paths import PROJECT_DIR

SHELF = PROJECT_DIR / ".slimreel" / "bench" / "crash"
