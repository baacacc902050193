# ruff: noqa: INP001  scripts are no package
"""Writes the tables of `docs/reference` anew, from the code they speak of; the prose around them is written by hand.

    python dev/reference.py [FOLDER]

A table stands between `[//]: # (begin NAME …)` and `[//]: # (end)`, which Markdown does not show. What it says of a
setting, command, option, error, event, metric, job or permission is that thing's own help or docstring: so it is there
that a text is changed. `just reference` runs this; tests/architecture/test_reference.py says when it has to be run.
"""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from enum import Enum
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeVar, get_args

import typer
from typer.models import OptionInfo

import entrepot
from entrepot.access.model import ROLES, Permission, Role
from entrepot.cli import options
from entrepot.cli.commands import serve
from entrepot.cli.main import application
from entrepot.cli.output import ExitCode
from entrepot.errors import EntrepotError
from entrepot.runtime.events.model import Event
from entrepot.runtime.jobs.model import Job
from entrepot.runtime.telemetry.families import CODE, FAMILIES
from entrepot.settings import KEYS, Loaded, Settings, describe
from entrepot.web.errors import ANSWERS

FOLDER: Final = Path(__file__).parents[1] / "docs" / "reference"
BLOCK: Final = re.compile(r"(^\[//\]: # \(begin ([a-z -]+)\)\n\n)(.*?)(^\[//\]: # \(end\)$)", re.MULTILINE | re.DOTALL)
SENTENCE: Final = re.compile(r"(?<=[.!?])\s")
SURFACES: Final = re.compile(r"entrepot\.(web|cli)\b|.*\.migrations\.|.*__main__$")
NONE: Final = "–"
COMMON: Final = {field.name for field in fields(Event)}

T = TypeVar("T")


def rewritten(text: str) -> str:
    """The page *text* with each of its tables as the code has it now."""
    return BLOCK.sub(lambda found: f"{found[1]}{block(*found[2].split())}\n\n{found[4]}", text)


def block(name: str, *about: str) -> str:
    """The table *name* of what it is *about*: nouns for `commands`."""
    return "\n".join(BLOCKS[name](*about))


def settings() -> Iterator[str]:
    """Every setting with its default."""
    shown = {row.name: row.value for row in describe(Loaded(Settings(), {}))}
    yield from table("Name", "Default", "What it is")
    for key in KEYS:
        yield row(code(key.name), code(shown[key.name]) if shown[key.name] else NONE, key.summary)


def commands(*nouns: str) -> Iterator[str]:
    """Every command of *nouns* with its arguments, and the options that are its own."""
    yield from table("Command", "Does")
    for noun in nouns:
        group: Any = typer.main.get_command(application(noun))
        found = group.commands[noun]
        verbs = getattr(found, "commands", None)
        for name, command in (
            {f"{noun} {verb}": each for verb, each in verbs.items()}.items() if verbs else [(noun, found)]
        ):
            yield row(
                code(usage(name, command.params)), " ".join([prose(command.help), *map(option, own(command.params))])
            )


def usage(name: str, parameters: Iterable[Any]) -> str:
    """How a command is called: what must be there, and what may follow."""
    words = [
        word if each.required else f"[{word}]"
        for each in parameters
        if each.param_type_name == "argument"
        for word in [f"{each.metavar or each.name.upper()}{'…' if each.nargs == -1 else ''}"]
    ]
    words += [
        f"{each.opts[0]} {value(each)}" for each in parameters if each.param_type_name == "option" and each.required
    ]
    return " ".join(["entrepot", name, *words])


def own(parameters: Iterable[Any]) -> list[Any]:
    """The options that are a command's own: not those which many share."""
    return [
        each
        for each in parameters
        if each.param_type_name == "option" and not each.hidden and "--help" not in each.opts
        if SHARED.get(tuple(each.opts)) != prose(each.help)
    ]


def option(parameter: Any) -> str:
    """An option, what it takes, and what it means."""
    words = value(parameter)
    names = [*(f"{name} {words}".strip() for name in parameter.opts), *parameter.secondary_opts]
    default = names[0] if parameter.secondary_opts else parameter.default
    told = f" ({default} by default)" if default not in (None, False) else ""
    return f"{codes(*names)}{told}: {decapitalized(prose(parameter.help))}"


def value(parameter: Any) -> str:
    """What stands behind an option in a command line; nothing if it is a flag."""
    if parameter.is_flag:
        return ""
    if parameter.metavar:
        return str(parameter.metavar)
    kind = parameter.type_descriptor.annotation
    kinds = [each for each in (kind, *get_args(kind)) if inspect.isclass(each)]
    choice = next((each for each in kinds if issubclass(each, Enum)), None)
    return "|".join(each.value for each in choice) if choice else next(KINDS[each] for each in kinds if each in KINDS)


KINDS: Final[dict[type, str]] = {int: "N", float: "SECONDS", str: "TEXT", Path: "PATH"}


def shared_options(about: str) -> Iterator[str]:
    """The options that many commands have: those *about* an `api` that is asked, or about a `server` that is run."""
    yield from table("Option", "Means")
    for names, text in declared(SHARING[about]).items():
        yield row(codes(*names), text)


def exit_codes() -> Iterator[str]:
    """How commands end."""
    yield from table("Code", "Means")
    told = member_texts(ExitCode)
    for each in ExitCode:
        yield row(str(each.value), decapitalized(told[each.name]).rstrip("."))


def errors() -> Iterator[str]:
    """Every error that has an answer of its own."""
    yield from answers(kind for kind in ANSWERS if kind.__module__ != EntrepotError.__module__)


def kinds() -> Iterator[str]:
    """The kinds of errors."""
    yield from answers(kind for kind in ANSWERS if kind.__module__ == EntrepotError.__module__)


def answers(found: Iterable[type[EntrepotError]]) -> Iterator[str]:
    """How each error is answered, on both surfaces."""
    yield from table("Error", "`/v2`", "`/api`", "When")
    for kind in found:
        answer = ANSWERS[kind]
        when = SENTENCE.split(docstring(kind))[0]
        yield row(
            code(kind.__name__),
            f"{answer.status} {code(answer.code)}",
            str(answer.api_status),
            prose(when).rstrip("."),
        )


def events() -> Iterator[str]:
    """Every action of the audit log that a change emits, by name."""
    yield from table("Action", "What happened", "In `detail`")
    found = {event.ACTION: event for event in below(Event) if hasattr(event, "ACTION")}
    for action, event in sorted(found.items()):
        own_fields = sorted(field.name for field in fields(event) if field.name not in COMMON)
        names = "|".join(own_fields) or "$^"
        text = re.sub(
            rf"\b(?:{names})(?:, (?:{names}))*:", lambda told: f"{codes(*told[0][:-1].split(', '))}:", docstring(event)
        )
        yield row(code(action), decapitalized(prose(text)).rstrip("."), codes(*own_fields))


def permissions() -> Iterator[str]:
    """Every permission, and which role has it."""
    yield from table("Permission", *Role, "Allows to")
    told = member_texts(Permission)
    for each in Permission:
        marks = ["yes" if each in ROLES[role] else NONE for role in Role]
        yield row(code(each), *marks, decapitalized(prose(told[each.name])).rstrip("."))


def metrics() -> Iterator[str]:
    """Every metric with its labels."""
    yield from table("Metric", "Labels", "What it counts")
    for family in FAMILIES:
        yield row(code(family.name), codes(*family.label_names), family.help)


def labels() -> Iterator[str]:
    """Every label whose values are listed in the code."""
    yield from table("Label", "Values")
    values: dict[str, dict[str, None]] = {}
    for family in FAMILIES:
        for label in family.labels:
            if label.values and label != CODE:
                values.setdefault(label.name, {}).update(dict.fromkeys(label.values))
    for name, every in values.items():
        yield row(code(name), codes(*every))


def jobs() -> Iterator[str]:
    """Every kind of job."""
    yield from table("Job", "Queue", "Does")
    for name, job in {job.NAME: job for job in below(Job)}.items():
        yield row(code(name), code(job.QUEUE), prose(docstring(job).split("\n\n")[0]))


BLOCKS: Final[dict[str, Callable[..., Iterator[str]]]] = {
    "settings": settings,
    "commands": commands,
    "options": shared_options,
    "exit-codes": exit_codes,
    "errors": errors,
    "kinds": kinds,
    "events": events,
    "permissions": permissions,
    "metrics": metrics,
    "labels": labels,
    "jobs": jobs,
}


def table(*headings: str) -> tuple[str, str]:
    """The first two lines of a table."""
    return row(*headings), "|" + "--|" * len(headings)


def row(*cells: str) -> str:
    """A line of a table; a bar in a cell is no border."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def code(word: str) -> str:
    """*word* as pages write names."""
    return f"`{word}`"


def codes(*words: str) -> str:
    """*words* as pages write names, or that there are none."""
    return ", ".join(map(code, words)) or NONE


def docstring(thing: object) -> str:
    """The docstring of *thing* as it stands in the source, without its indentation."""
    return inspect.cleandoc(thing.__doc__ or "")


def prose(text: str) -> str:
    """*text* on one line, with `*name*` as pages write names."""
    return re.sub(r"(?<!\w)\*(\w+)\*", r"`\1`", " ".join(text.split()))


def decapitalized(text: str) -> str:
    """*text* as it stands in a table beside a name: it begins small, unless with a name."""
    return text[0].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def member_texts(kind: type[Enum]) -> dict[str, str]:
    """The texts below the members of *kind*: Python does not keep them."""
    (body,) = (node.body for node in ast.parse(inspect.getsource(kind)).body if isinstance(node, ast.ClassDef))
    return {
        member.targets[0].id: inspect.cleandoc(text.value.value)
        for member, text in pairwise(body)
        if isinstance(member, ast.Assign)
        and isinstance(member.targets[0], ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def declared(module: ModuleType) -> dict[tuple[str, ...], str]:
    """The options that *module* declares for more than one command, with their help."""
    every = (each for alias in vars(module).values() for each in getattr(alias, "__metadata__", ()))
    return {
        (str(each.default), *(each.param_decls or ())): prose(each.help or "")
        for each in every
        if isinstance(each, OptionInfo)
    }


SHARING: Final = {"api": options, "server": serve}
SHARED: Final = {names: text for module in SHARING.values() for names, text in declared(module).items()}


def below(kind: type[T]) -> Iterator[type[T]]:
    """Every class of ours below *kind*; the surfaces have none."""
    for module in pkgutil.walk_packages(entrepot.__path__, "entrepot."):
        if not SURFACES.match(module.name):
            importlib.import_module(module.name)
    yield from subclasses(kind)


def subclasses(kind: type[T]) -> Iterator[type[T]]:
    """Every class below *kind*."""
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


def main(folder: Path) -> None:
    """Writes each page of *folder* whose tables are others by now, and names it."""
    for path in sorted(folder.glob("*.md")):
        before = path.read_text()
        after = rewritten(before)
        if after != before:
            path.write_text(after)
            sys.stdout.write(f"{path.name}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
