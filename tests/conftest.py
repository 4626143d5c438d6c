"""Settings for every test of the suite."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

#: How long examples take is the machine's, and which are tried depends on what is imported.
NO_COMPLAINTS = [HealthCheck.too_slow, HealthCheck.filter_too_much]
every_test = settings(deadline=None, suppress_health_check=NO_COMPLAINTS)
# A suite that must be green to land tries the same examples each time, and no more than show the
# rule: `make fuzz` tries thousands of new ones, wherever a test does not say how many itself.
settings.register_profile("suite", every_test, max_examples=60, derandomize=True)
settings.register_profile("fuzz", every_test, max_examples=2000)
settings.load_profile("suite")

#: What takes longest comes first, so that several processes end together: each is handed the next
#: file when it has done with one. Files that share a stand-in cloud stay side by side, for a
#: process ends the cloud when its next file is of another folder. The rest keeps its order.
FIRST = (
    "tests/e2e/",
    "tests/browser/",
    "tests/integration/test_up.py",
    "tests/crash/",
    "tests/deploying/",
    "tests/reliability/",
    "tests/model/",
    "tests/contract/",
    "tests/hostile/",
    "tests/integration/",
    "tests/unit/test_template.py",
)


def pytest_configure(config: pytest.Config) -> None:
    # pytest-xdist would hand out the files with the most tests first, which are the quickest.
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        found = (n for n, place in enumerate(FIRST) if item.nodeid.startswith(place))
        return next(found, len(FIRST))

    items.sort(key=rank)
