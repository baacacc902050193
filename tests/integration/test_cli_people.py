"""People are made, given roles and ended from the command line, and change their passwords there."""

import os
import subprocess
import sys
from pathlib import Path

from tests.real.cli import entrepot, entrepot_json
from tests.real.server import Credential, Server


def change_password(server: Server, who: Credential, lines: str, home: Path) -> subprocess.CompletedProcess[str]:
    """What `entrepot account password --stdin` does with *lines*."""
    return subprocess.run(
        [str(Path(sys.executable).parent / "entrepot"), "account", "password", "--stdin"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "ENTREPOT_URL": server.url,
            "ENTREPOT_USERNAME": who.login,
            "ENTREPOT_PASSWORD": who.secret,
        },
        input=lines,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_person_is_made_changes_his_password_and_is_ended(server: Server, tmp_path: Path) -> None:
    made = entrepot(server, "account", "create", "ann")
    ann = Credential("ann", made.stdout.strip())
    assert made.stdout.count("\n") == 1  # alone on stdout, for a script
    assert entrepot_json(server, "whoami", credential=ann)["account"] == "ann"

    weak = change_password(server, ann, f"{ann.secret}\nshort\n", tmp_path)
    wrong = change_password(server, ann, "wrong\ncorrect horse battery\n", tmp_path)
    changed = change_password(server, ann, f"{ann.secret}\ncorrect horse battery\n", tmp_path)

    assert (weak.returncode, wrong.returncode) == (2, 4)
    assert (changed.returncode, changed.stdout) == (0, "")
    assert entrepot(server, "whoami", credential=ann, check=False).returncode == 4
    ann = Credential("ann", "correct horse battery")
    assert entrepot_json(server, "account", "role", "ann", "admin")["roles"] == ["admin"]
    assert entrepot_json(server, "account", "list", credential=ann)[1]["name"] == "ann"
    assert entrepot_json(server, "account", "role", "admin", "none", credential=ann)["roles"] == []
    last = entrepot(server, "account", "role", "ann", "none", credential=ann, check=False)
    assert (last.returncode, "his own account" in last.stderr) == (4, True)
    reset = Credential("admin", entrepot(server, "account", "reset", "admin", credential=ann).stdout.strip())
    assert entrepot(server, "whoami", check=False).returncode == 4
    assert entrepot_json(server, "whoami", credential=reset)["account"] == "admin"
    assert entrepot_json(server, "account", "create", "bob", credential=ann)["name"] == "bob"
    entrepot(server, "account", "delete", "bob", credential=ann)
    assert entrepot(server, "account", "delete", "bob", credential=ann, check=False).returncode == 3


def test_members_are_listed_set_and_removed(server: Server) -> None:
    server.create_project("shop")
    ann = Credential("ann", entrepot_json(server, "account", "create", "ann")["password"])
    assert "no members" in entrepot(server, "member", "list", "shop").stderr
    assert entrepot(server, "project", "list", credential=ann).stdout == ""

    given = entrepot_json(server, "member", "set", "shop", "ann", "viewer")
    listed = entrepot_json(server, "member", "list", "shop")
    refused = entrepot(server, "member", "list", "shop", credential=ann, check=False)

    assert (given["account"], given["role"], listed) == ("ann", "viewer", [given])
    assert (refused.returncode, "lacks member.manage" in refused.stderr) == (4, True)
    assert "shop" in entrepot(server, "project", "list", credential=ann).stdout
    entrepot(server, "member", "remove", "shop", "ann")
    assert entrepot_json(server, "member", "list", "shop") == []
    assert entrepot(server, "member", "remove", "shop", "ann", check=False).returncode == 3
    assert entrepot(server, "member", "set", "shop", "nobody", "viewer", check=False).returncode == 3
    assert entrepot(server, "member", "set", "shop", "ann", "boss", check=False).returncode == 2
