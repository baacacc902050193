"""What a shell reads in order to complete, and where it is put."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

PLACES: Final = {
    "bash": ".local/share/bash-completion/completions/entrepot",
    "zsh": ".local/share/zsh/site-functions/_entrepot",
    "fish": ".config/fish/completions/entrepot.fish",
}
ASK: Final = """
eval "$(entrepot completion show bash)"
COMP_LINE="$1" COMP_POINT=${#1}
_entrepot_completion entrepot
printf '%s\\n' "${COMPREPLY[@]}"
"""


def environment(home: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(home), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **more}


def run(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, env=environment(home, **more), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("shell", PLACES)
def test_it_is_put_where_the_shell_looks_and_nothing_else_is_touched(tmp_path: Path, shell: str) -> None:
    done = run(tmp_path, "entrepot", "completion", "install", SHELL=f"/bin/{shell}")
    shown = run(tmp_path, "entrepot", "completion", "show", shell).stdout

    files = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert (done.returncode, files) == (0, [PLACES[shell]])
    assert (tmp_path / PLACES[shell]).read_text() == shown


def test_a_shell_that_can_not_complete_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, "entrepot", "completion", "install", SHELL="/bin/dash")

    assert (done.returncode, done.stderr) == (2, "error: say for which shell: bash, zsh or fish\n")


@pytest.mark.parametrize("shell", PLACES)
def test_the_shell_itself_reads_it_without_a_fault(tmp_path: Path, shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"NO {shell} on this machine: its completion is not read")
    run(tmp_path, "entrepot", "completion", "install", shell)

    done = run(tmp_path, program, "-n", str(tmp_path / PLACES[shell]))

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("entrepot comple", ["completion"]),
        ("entrepot tag h", ["history"]),
        ("entrepot tag list --so", ["--sort"]),
        ("entrepot job list -o ", ["table", "json", "yaml", "csv", "name"]),
        ("entrepot --quiet policy mode shop e", ["enforce"]),
        ("entrepot artifact show shop/web:", [""]),
    ],
)
def test_bash_completes_words_without_a_server(tmp_path: Path, line: str, offered: list[str]) -> None:
    done = run(tmp_path, "bash", "-c", ASK, "ask", line, ENTREPOT_URL="http://127.0.0.1:1")

    assert (done.stdout.splitlines(), done.stderr) == (offered, "")


def test_bash_is_given_what_stands_behind_the_colon(tmp_path: Path) -> None:
    """Bash takes a colon for the end of a word, and would write the repository twice."""
    (tmp_path / "entrepot").write_text('#!/bin/sh\n[ "$COMP_CWORD" = 3 ] && printf "shop/web:1.0\\nshop/web:1.1\\n"\n')
    (tmp_path / "entrepot").chmod(0o700)
    script = run(tmp_path, "entrepot", "completion", "show", "bash").stdout

    done = run(
        tmp_path,
        "bash",
        "-c",
        script + ASK.partition("\n")[2].partition("\n")[2],
        "ask",
        "entrepot artifact show shop/web:1",
        PATH=f"{tmp_path}:{os.environ['PATH']}",
    )

    assert done.stdout.splitlines() == ["1.0", "1.1"]
