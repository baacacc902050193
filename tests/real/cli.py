"""The command line as its users run it: a process with a home of its own, signed in through variables."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.real.server import Credential, Server

TIMEOUT_SECONDS: Final = 120


class CliError(AssertionError):
    """A command ended with an error where the test asked for success; the text is all it printed."""


def entrepot(
    server: Server,
    *arguments: str,
    credential: Credential | None = None,
    check: bool = True,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """What `entrepot *arguments*` did at *server*, as the administrator unless *credential* says who.

    environment: further variables. Raises CliError if it failed, unless *check* is false.
    """
    who = credential or server.admin
    signed_in = {
        "ENTREPOT_URL": server.url,
        "ENTREPOT_USERNAME": who.login,
        "ENTREPOT_PASSWORD": who.secret,
    }
    with tempfile.TemporaryDirectory(prefix="entrepot-home-") as home:
        done = entrepot_at_home(Path(home), *arguments, environment={**signed_in, **(environment or {})})
    if check and done.returncode != 0:
        raise CliError(f"entrepot {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def entrepot_at_home(
    home: Path, *arguments: str, environment: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """What `entrepot *arguments*` did for a user whose home is *home* and who reads *stdin* to it."""
    return subprocess.run(
        [str(Path(sys.executable).parent / "entrepot"), *arguments],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(home), **(environment or {})},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def entrepot_json(server: Server, *arguments: str, credential: Credential | None = None) -> Any:
    """The parsed output of `entrepot *arguments* -o json`. Raises CliError."""
    return json.loads(entrepot(server, *arguments, "-o", "json", credential=credential).stdout)
