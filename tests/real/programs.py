"""Programs that tests run as they are. A missing one is one loud line here, and a failure in CI."""

import os
import shutil
from typing import NoReturn

import pytest


def missing(part: str) -> NoReturn:
    """Ends the test because the real *part* is not here or does not work: skipped, or failed where CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"MISSING REAL PART: {part}", pytrace=False)
    pytest.skip(f"MISSING REAL PART: {part}")


def require_program(name: str) -> str:
    """The path of the program *name*; the test ends (see `missing`) if there is none."""
    path = shutil.which(name)
    if path is None:
        missing(f"the program {name} (.ci/run names the Debian packages)")
    return path
