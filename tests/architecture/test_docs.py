"""What must be documented is: each page against the code it speaks of, and no page against code that is gone."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
import typer

import entrepot
from entrepot.access.model import ROLES, Permission, Role
from entrepot.cli.main import NOUNS, application
from entrepot.cli.output import ExitCode
from entrepot.errors import EntrepotError
from entrepot.runtime.events.model import Event
from entrepot.runtime.jobs.model import Job
from entrepot.runtime.telemetry.families import CODE, FAMILIES
from entrepot.schema import SCHEMA
from entrepot.settings import CLIENT as CLIENT_VARIABLES
from entrepot.settings import KEYS, PLACES, Loaded, Settings, describe
from entrepot.web.errors import ANSWERS

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = ROOT / "src" / "entrepot"
REFERENCE: Final = ROOT / "docs" / "reference"
PAGES: Final = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])
SPOOLED: Final = ("account.signed_in", "blob.pulled", "manifest.pulled", "manifest.resolved")
"""Actions that are a word in a spool line and no class: nothing is done in a transaction for them."""

LONGEST_RECORD: Final = 80

T = TypeVar("T")


def page(name: str) -> str:
    """The text of a page of the reference."""
    return (REFERENCE / name).read_text()


@cache
def everything() -> None:
    """Imports every module, so that each subclass is known."""
    for module in pkgutil.walk_packages(entrepot.__path__, "entrepot."):
        if ".migrations." not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def below(kind: type[T]) -> Iterator[type[T]]:
    """Every class of ours below *kind*; those that tests make are not."""
    for each in kind.__subclasses__():
        if each.__module__.startswith("entrepot."):
            yield each
        yield from below(each)


def missing(rows: list[str], text: str) -> str:
    """Those of *rows* that are no line of *text*, to be put there."""
    lines = set(text.splitlines())
    return "\n".join(row for row in rows if row not in lines)


def code(*words: str) -> str:
    """*words* as a page writes names: `a`, `b`."""
    return ", ".join(f"`{word}`" for word in words) or "–"


def test_every_setting_has_its_line_with_its_default() -> None:
    shown = {row.name: row for row in describe(Loaded(Settings(), {}))}
    rows = [
        f"| `{key.name}` | {code(shown[key.name].value) if shown[key.name].value else '–'} | {key.summary} |"
        for key in KEYS
    ]

    assert missing(rows, page("settings.md")) == ""
    assert len(re.findall(r"^\| `\w+\.", page("settings.md"), re.MULTILINE)) == len(KEYS)


@pytest.mark.parametrize("variable", [*PLACES, *CLIENT_VARIABLES])
def test_every_other_variable_is_named(variable: str) -> None:
    assert f"`{variable}`" in page("settings.md") + page("cli.md")


def test_every_error_has_its_line() -> None:
    rows = {
        (kind.__name__, f"{answer.status} `{answer.code}`", f"{answer.api_status}") for kind, answer in ANSWERS.items()
    }
    described = re.findall(r"^\| `(\w+Error)` \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", page("errors.md"), re.MULTILINE)

    assert set(described) == rows


def test_every_error_of_a_noun_has_an_answer() -> None:
    everything()

    assert [
        kind
        for kind in below(EntrepotError)
        if re.fullmatch(r"entrepot\.\w+\.errors", kind.__module__) and kind not in ANSWERS
    ] == []


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each command line, as `entrepot noun verb`, with its options."""
    for noun in NOUNS:
        group: Any = typer.main.get_command(application(noun))
        found = group.commands[noun]
        verbs = getattr(found, "commands", None)
        for name, command in (
            {f"{noun} {verb}": each for verb, each in verbs.items()} if verbs else {noun: found}
        ).items():
            options = [
                option
                for parameter in command.params
                if not getattr(parameter, "hidden", False)
                for option in (*parameter.opts, *parameter.secondary_opts)
                if option.startswith("--") and option != "--help"
            ]
            yield name, options


COMMANDS: Final = dict(commands())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_has_its_line(command: str) -> None:
    lines = [
        line for line in page("cli.md").splitlines() if re.match(rf"\| `entrepot {command}(?![a-z ]*\w`)[ `]", line)
    ]

    assert len(lines) == 1
    shared = re.findall(r"^\| `(--[a-z-]+)", page("cli.md"), re.MULTILINE)
    assert [option for option in COMMANDS[command] if option not in shared and f"`{option}" not in lines[0]] == []


def test_no_command_is_documented_that_is_not_there() -> None:
    described = re.findall(r"^\| `entrepot ([a-z]+(?: [a-z]+)?)", page("cli.md"), re.MULTILINE)

    assert sorted(described) == sorted(COMMANDS)


@pytest.mark.parametrize("code_", list(ExitCode), ids=[each.name for each in ExitCode])
def test_every_exit_code_has_its_line(code_: ExitCode) -> None:
    assert re.search(rf"^\| {code_.value} \| ", page("cli.md"), re.MULTILINE)


def test_every_audit_action_has_its_line_with_its_detail() -> None:
    everything()
    common = {field.name for field in fields(Event)}
    rows = {
        event.ACTION: code(*sorted(field.name for field in fields(event) if field.name not in common))
        for event in below(Event)
        if event.ACTION
    } | dict.fromkeys(SPOOLED, "–")
    described = dict(re.findall(r"^\| `([a-z_.]+)` \| .* \| ([^|]+) \|$", page("audit.md"), re.MULTILINE))

    assert described == rows


@pytest.mark.parametrize("action", SPOOLED)
def test_a_spooled_action_is_still_written(action: str) -> None:
    assert any(f'"{action}"' in path.read_text() for path in SOURCE.rglob("*.py"))


def test_every_metric_has_its_line_with_its_labels() -> None:
    rows = {family.name: (code(*family.label_names), family.help) for family in FAMILIES}
    described = re.findall(r"^\| `(entrepot_\w+)` \| ([^|]+) \| ([^|]+) \|$", page("telemetry.md"), re.MULTILINE)

    assert {name: (labels, told) for name, labels, told in described} == rows


def test_every_label_has_its_line_with_its_values() -> None:
    labels = {label.name: label for family in FAMILIES for label in family.labels}
    rows = [
        f"| `{label.name}` | {code(*label.values)} |" for label in labels.values() if label.values and label != CODE
    ]

    assert missing(rows, page("telemetry.md")) == ""
    assert [name for name in labels if f"| `{name}` |" not in page("telemetry.md")] == []


def test_every_job_has_its_line() -> None:
    everything()
    rows = {job.NAME: job.QUEUE for job in below(Job)}

    assert dict(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| `(\w+)` \|", page("telemetry.md"), re.MULTILINE)) == rows


REASONS: Final = (
    r'"(limit:\w+)"',
    r'(?:problems|reasons)\.add\("(\w+)"',
    r'(?:CutError|PathRefusedError)\("(\w+)"',
    r'f"(no_feed|analyser|unresolved_link):',
    r'\{"(incomplete_\w+|foreign_\w+)"\}',
)
HARMLESS: Final = {"duplicate", "trailing_data"}  # told with the facts, never a reason


def test_every_reason_for_a_partial_scan_has_its_line() -> None:
    sources = [path.read_text() for path in sorted((SOURCE / "scanning").rglob("*.py"))]
    codes = {found for text in sources for reason in REASONS for found in re.findall(reason, text)} - HARMLESS
    text = (ROOT / "docs/how-to/partial.md").read_text()

    assert {"limit:ratio", "corrupt", "no_feed", "foreign_layer", "incomplete_layer", "path_nul"} <= codes
    assert [code for code in sorted(codes) if not re.search(rf"`{code}[`:]", text)] == []


def test_every_permission_has_its_line() -> None:
    rows = [
        f"| `{permission}` | {' | '.join('yes' if permission in ROLES[role] else '–' for role in Role)} |"
        for permission in Permission
    ]
    text = re.sub(r" [^|]+ \|$", "", page("roles.md"), flags=re.MULTILINE)

    assert missing(rows, text) == ""
    assert f"| Permission | {' | '.join(Role)} |" in text


def test_every_endpoint_has_its_line() -> None:
    lines = re.findall(
        r'@router\.(get|post|put|patch|delete)\(\s*(PATH(?: \+ )?)?(?:"([^"]*)")?',
        "".join(path.read_text() for path in sorted((SOURCE / "web/api").glob("*.py"))),
    )
    artifact = "/repositories/{name}/-/artifacts/{reference}"
    rows = {(method.upper(), (artifact if constant else "") + path) for method, constant, path in lines}

    assert set(re.findall(r"^\| `([A-Z]+) (/[^` ]*)`", page("api.md"), re.MULTILINE)) == rows


def tree() -> dict[str, set[str]]:
    """The source tree as ARCHITECTURE.md draws it: package → names in its line; "" for the modules at the top."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    block = re.search(r"```text\nsrc/entrepot/\n(.*?)```", text, re.DOTALL)
    assert block is not None
    found: dict[str, set[str]] = {}
    here = ""
    for line in block[1].splitlines():
        head = re.match(r"(?:(\w+)/|(\S))", line)
        if head:
            here = head[1] or ""
        found.setdefault(here, set()).update(re.findall(r"[a-z_0-9]+", line.removeprefix(f"{here}/")))
    return found


def test_the_tree_in_the_architecture_is_the_tree() -> None:
    real: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        *folders, name = path.relative_to(SOURCE).with_suffix("").parts
        top, inner = (folders[0], folders[1:]) if folders else ("", [])
        real.setdefault(top, set()).update(inner)
        if name != "__init__" and not name[0].isdigit():
            real[top].add(name)

    assert tree() == real


def test_every_table_is_in_the_architecture() -> None:
    described = set(re.findall(r"`(\w+)`", (ROOT / "ARCHITECTURE.md").read_text()))

    assert set(SCHEMA.tables) - described == set()


@pytest.mark.parametrize("path", PAGES, ids=[path.relative_to(ROOT).as_posix() for path in PAGES])
def test_every_link_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text())

    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []


KINDS: Final = {"tutorial", "how-to", "reference", "explanation"}
GUIDES: Final = [path for path in PAGES if path.parent.name in KINDS or path.name == "README.md"]


@pytest.mark.parametrize("path", [path for path in GUIDES if "docs" in path.parts], ids=lambda path: path.name)
def test_every_page_says_whom_it_serves(path: Path) -> None:
    title, blank, whom = path.read_text().splitlines()[:3]

    assert (title[:2], blank, whom[:4]) == ("# ", "", "For ")


@pytest.mark.parametrize("path", [path for path in GUIDES if "docs" in path.parts], ids=lambda path: path.name)
def test_every_page_is_reached_from_the_list_of_pages(path: Path) -> None:
    listed = (ROOT / "docs/README.md").read_text()

    assert path.name == "README.md" or f"({path.relative_to(ROOT / 'docs').as_posix()})" in listed


RECORDS: Final = sorted((ROOT / "docs/adr").glob("*.md"))


def test_records_are_numbered_without_a_gap() -> None:
    assert [path.name[:4] for path in RECORDS] == [f"{number:04}" for number in range(1, len(RECORDS) + 1)]


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name)
def test_a_record_has_its_parts_and_is_short(path: Path) -> None:
    text = path.read_text()
    parts = re.findall(r"^## (.*)$", text, re.MULTILINE)

    assert text.startswith(f"# {int(path.name[:4])}. ")
    assert parts == ["Context", "Options", "Decision", "Consequences", "We would notice that it was wrong"]
    assert len(text.splitlines()) <= LONGEST_RECORD
