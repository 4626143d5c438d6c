"""Settings for every test of the suite."""

from __future__ import annotations

from hypothesis import settings

# A suite that must be green to land tries the same examples each time. `make fuzz` tries new ones.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.register_profile("fuzz", max_examples=2000, deadline=None)
settings.load_profile("suite")
