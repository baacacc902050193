import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from entrepot.cli.main import NOUNS
from entrepot.cli.output import ExitCode

HEAVY = (
    "fastapi",
    "starlette",
    "granian",
    "sqlalchemy",
    "alembic",
    "rich",
    "structlog",
    "uvloop",
    "urllib3",
)
HELP_SECONDS = 0.5
LIST_IMPORTS = """
import sys
sys.argv = ["entrepot", *sys.argv[1:]]
from entrepot.cli.main import main
try:
    main()
finally:
    print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
    print(*sorted(name for name in sys.modules if name.startswith("entrepot.cli.commands.")), file=sys.stderr)
"""


def entrepot(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "entrepot.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("ENTREPOT_")} | environment,
    )


def imports(*arguments: str) -> tuple[set[str], set[str]]:
    done = subprocess.run([sys.executable, "-c", LIST_IMPORTS, *arguments], capture_output=True, text=True, check=False)
    packages, commands = done.stderr.splitlines()[-2:]
    return set(packages.split()), set(commands.split())


def test_help_is_there_at_once() -> None:
    best = min(timed() for _ in range(3))

    print(f"entrepot --help: {best * 1000:.0f} ms")
    assert best < HELP_SECONDS


def timed() -> float:
    before = time.perf_counter()
    assert entrepot("--help").returncode == 0
    return time.perf_counter() - before


def test_help_imports_neither_a_server_nor_a_command() -> None:
    packages, commands = imports("--help")

    assert packages & {*HEAVY, "pydantic"} == set()
    assert commands == set()


@pytest.mark.parametrize("noun", NOUNS)
def test_the_help_of_each_noun_works_and_imports_no_server(noun: str) -> None:
    done = entrepot(noun, "--help")
    packages, commands = imports(noun, "--help")

    assert done.returncode == 0, done.stderr
    assert f"Usage: entrepot {noun} " in done.stdout
    assert packages & set(HEAVY) == set()
    assert commands >= {f"entrepot.cli.commands.{NOUNS[noun].app.partition(':')[0]}"}


def test_every_noun_stands_in_the_help_with_its_line() -> None:
    shown = entrepot("--help").stdout

    assert [noun for noun, entry in NOUNS.items() if entry.summary not in shown] == []


def test_a_wrong_noun_is_a_usage_error_with_a_suggestion() -> None:
    done = entrepot("srve")

    assert done.returncode == ExitCode.USAGE
    assert "Did you mean 'serve'?" in done.stderr


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("tag", "hstory"), "'history'"),
        (("tag", "list", "shop/web", "--fitler", "x"), "--filter"),
        (("tag", "list", "shop/web", "-o", "jason"), "'json'"),
    ],
)
def test_a_wrong_verb_option_or_value_brings_the_right_one(words: tuple[str, ...], meant: str) -> None:
    done = entrepot(*words)

    assert done.returncode == ExitCode.USAGE
    assert meant in done.stderr


@pytest.mark.parametrize(
    "words", [("-q", "context", "list"), ("context", "--quiet", "list"), ("context", "list", "-q")]
)
def test_quiet_may_stand_anywhere(words: tuple[str, ...], tmp_path: Path) -> None:
    loud, quiet, by_variable = (
        entrepot(*each, HOME=str(tmp_path), XDG_CONFIG_HOME="", **more)
        for each, more in (
            (("context", "list"), {}),
            (words, {}),
            (("context", "list"), {"ENTREPOT_QUIET": "1"}),
        )
    )

    assert loud.stderr == "no contexts: entrepot context add NAME URL\n"
    assert (quiet.returncode, quiet.stderr, by_variable.stderr) == (0, "", "")


def test_quiet_behind_two_dashes_is_a_name(tmp_path: Path) -> None:
    done = entrepot("context", "use", "--", "-q", XDG_CONFIG_HOME=str(tmp_path))

    assert (done.returncode, done.stderr) == (3, "error: there is no such context; there are: none\n")


def test_errors_are_told_also_to_who_wants_it_quiet(tmp_path: Path) -> None:
    done = entrepot("-q", "context", "use", "nowhere", XDG_CONFIG_HOME=str(tmp_path))

    assert (done.returncode, done.stderr) == (3, "error: there is no such context; there are: none\n")


def test_a_fault_in_the_settings_is_a_line_and_no_traceback() -> None:
    done = entrepot("config", "check", ENTREPOT_SERVER__DRAIM="hunter2", ENTREPOT_JOBS__POLL="hunter2")

    assert done.returncode == ExitCode.USAGE
    assert done.stderr.splitlines() == [
        "error: environment: unknown name ENTREPOT_SERVER__DRAIM; did you mean ENTREPOT_SERVER__DRAIN?",
        "error: jobs.poll (environment: ENTREPOT_JOBS__POLL): write a duration such as 50ms, 10s, 5m or 1h",
    ]


def test_a_server_with_a_fault_in_its_settings_does_not_start(tmp_path: object) -> None:
    done = entrepot("serve", "--data", f"{tmp_path}/data", ENTREPOT_JOBS__POLL="hunter2")

    assert done.returncode == ExitCode.USAGE
    assert done.stderr == (
        "error: jobs.poll (environment: ENTREPOT_JOBS__POLL): write a duration such as 50ms, 10s, 5m or 1h\n"
    )


def test_shown_settings_hide_secrets() -> None:
    done = entrepot("config", "show", "-o", "json", ENTREPOT_DATABASE__URL="postgresql://me:hunter2@db/entrepot")

    assert done.returncode == ExitCode.OK
    assert '"value": "postgresql://(hidden)@db/entrepot"' in done.stdout
    assert "hunter2" not in done.stdout
