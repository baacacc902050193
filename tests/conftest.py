"""What every test may use: hypothesis profiles, the seed of the random order, and the real parts of tests/real."""

import os
import shutil
from pathlib import Path
from typing import Final

import pytest
import structlog
from hypothesis import HealthCheck, settings

FEEDS: Final = Path(os.environ.get("ENTREPOT_TEST_FEEDS") or Path(__file__).parents[2] / "shared" / "feeds")
"""Whole advisory feeds: tens of megabytes that no clone has. What needs them is not collected without them."""
GO: Final = shutil.which("go")
"""Go's own tool: too large to install for one test module. unit/scanning/ecosystems/test_golang.py has its programs."""

pytest_plugins = [
    "tests.real.clients",
    "tests.real.containerd",
    "tests.real.systems",
    "tests.real.server",
    "tests.real.postgres",
    "tests.real.object_store",
    "tests.real.blob_store",
    "tests.real.replicas",
    "tests.real.hostile",
]

# A deadline per example would measure the neighbors on a shared machine, not the code.
settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("nightly", max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") == "true" else "dev"))


# A fault that a test plants is logged with its traceback; to print one in color takes seconds.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.dev.set_exc_info,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what needs whole feeds, or Go, where there are none: it is extra, what is committed is the rule."""
    is_missing = {"test_real_feeds.py": not FEEDS.is_dir(), "test_real_go.py": GO is None}
    return is_missing.get(collection_path.name) or None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what was left out, and the seed of this run's order: `pytest -p "randomly_seed=N"` repeats it."""
    if (seed := config.getoption("randomly_seed", None)) is not None:
        terminalreporter.write_line(f"random order, seed {seed}")
    if not FEEDS.is_dir():
        terminalreporter.write_line("NO WHOLE FEEDS beside the checkout: test_real_feeds.py was left out")
    if GO is None:
        terminalreporter.write_line("NO GO on this machine: test_real_go.py was left out")
