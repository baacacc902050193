"""The command line: which nouns there are, and how a command ends.

Only the module of the noun that is called is imported: `entrepot --help` reads this table alone.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Final

import typer

from entrepot.cli.output import QUIET, ExitCode, plain, report
from entrepot.cli.user import environment
from entrepot.errors import EntrepotError


@dataclass(frozen=True, slots=True)
class Noun:
    """A word after `entrepot`: its line in the help, and where its typer app stands.

    app: `module:attribute` in `entrepot.cli.commands`. verbs: whether a verb follows; else the app has one command
    of the noun's own name.
    """

    app: str
    summary: str
    verbs: bool = True


NOUNS: Final = {
    "serve": Noun("serve:app", "Start the registry.", verbs=False),
    "migrate": Noun("migrate:app", "Bring the database to this version's schema.", verbs=False),
    "demo": Noun("demo:app", "Show a push, a scan, a refusal and a pull on real images.", verbs=False),
    "config": Noun("config:app", "Check and show the server's settings."),
    "login": Noun("login:login_app", "Log in to a server, and keep a personal token for it.", verbs=False),
    "logout": Noun("login:logout_app", "Forget the login at a server.", verbs=False),
    "whoami": Noun("login:whoami_app", "Show which account this is.", verbs=False),
    "context": Noun("context:app", "Name servers, and choose which one is asked."),
    "completion": Noun("completion:app", "Have a shell complete commands and names."),
    "project": Noun("project:app", "Create, list and open projects."),
    "account": Noun("account:app", "Make and end accounts of people, and change passwords."),
    "member": Noun("member:app", "List, set and remove the members of a project."),
    "robot": Noun("robot:app", "Create, list and delete machine accounts."),
    "token": Noun("token:app", "Make, list and revoke your personal tokens."),
    "artifact": Noun("artifact:app", "Show, compare and delete images."),
    "promote": Noun("promote:app", "Ask for promotions, and decide them."),
    "pipeline": Noun("pipeline:app", "Show and set the stages of a project."),
    "tag": Noun("tag:app", "Show, restore and lock tags."),
    "repository": Noun("repository:app", "List and delete repositories."),
    "trash": Noun("trash:app", "List what was deleted, and purge it."),
    "undo": Noun("trash:undo_app", "Take a deletion back.", verbs=False),
    "quota": Noun("quota:app", "Show and set how much a project may keep."),
    "storage": Noun("storage:app", "Show what is stored, and check it."),
    "scan": Noun("scan:app", "Show and wait for an image's analysis."),
    "finding": Noun("finding:app", "List an image's vulnerabilities."),
    "policy": Noun("policy:app", "Show a project's policy, and change its mode."),
    "feed": Noun("feed:app", "Import advisories and show what they cover."),
    "audit": Noun("audit:app", "Search the record of changes, refusals and pulls."),
    "job": Noun("job:app", "Show background work."),
}
"""Every noun, in the order of the help."""


COMPLETE: Final = "_ENTREPOT_COMPLETE"
"""The variable in which a shell says that it wants completions, and its name."""

WORDS: Final = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")
"""Where the line stands that is to be completed, by shell."""


def main() -> None:
    """The program `entrepot`. Ends the process with the command's exit code (`ExitCode`)."""
    completing = COMPLETE in environment()
    words = _line() if completing else sys.argv[1:]
    called = next((word for word in words if not word.startswith("-")), None)
    if completing:
        from typer._completion_classes import completion_init  # noqa: PLC0415  else options of typer's own come along

        completion_init()
    try:
        application(called)(args=_quiet_first(sys.argv[1:]), prog_name="entrepot")
    except EntrepotError as error:
        sys.exit(report(error))
    except OSError as error:
        sys.stderr.write(f"error: {plain(str(error))}\n")
        sys.exit(ExitCode.FAILED)
    except Exception as error:  # noqa: BLE001  a person at a terminal is shown one line, not our stack
        sys.stderr.write(f"error: unexpected {type(error).__name__}: {plain(str(error))}\n")
        sys.exit(ExitCode.FAILED)


def application(called: str | None) -> typer.Typer:
    """All nouns, with the commands of the one that is *called*; the others are a line of the help each."""
    app = typer.Typer(
        callback=_entrepot,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    for name, noun in NOUNS.items():
        if name != called:
            app.command(name, help=noun.summary)(_not_called)
            continue
        module, _, attribute = noun.app.partition(":")
        commands: typer.Typer = getattr(import_module(f"entrepot.cli.commands.{module}"), attribute)
        if noun.verbs:
            app.add_typer(commands, name=name)
        else:
            app.add_typer(commands)
    return app


def _line() -> list[str]:
    """The words behind the program's name that a shell wants to have completed."""
    return next((environment()[name].split()[1:] for name in WORDS if name in environment()), [])


def _quiet_first(arguments: Sequence[str]) -> list[str]:
    """*arguments* with `--quiet` before the noun, wherever it stood: it is an option of all commands."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = arguments[:end]
    rest = [word for word in options if word not in {"--quiet", "-q"}] + list(arguments[end:])
    return rest if len(rest) == len(arguments) else ["--quiet", *rest]


def _be_quiet(wanted: bool) -> None:
    if wanted:
        environment()[QUIET] = "1"


def _not_called() -> None:
    """Stands for a noun in the help: it is never run."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"entrepot {version('entrepot')}")
        raise typer.Exit


def _entrepot(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
    _quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Print results and errors only; anywhere in the line.", callback=_be_quiet),
    ] = False,
) -> None:
    """Entrepot: a registry for container images that scans, judges and serves them."""


if __name__ == "__main__":
    main()
