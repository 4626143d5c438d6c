"""Where clips stay from one run to the next; runs are made near by. `make clean` removes all."""

from bench.crash.project import PROJECT_DIR

SHELF = PROJECT_DIR / ".slimreel" / "bench" / "crash"
