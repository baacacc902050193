import csv
import io
import json
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from entrepot.cli.output import (
    BlockedError,
    Column,
    ExitCode,
    Format,
    Item,
    Output,
    duration,
    exit_code,
    plain,
    report,
    when,
)
from entrepot.clock import FixedClock
from entrepot.errors import (
    ConflictError,
    DeniedError,
    EntrepotError,
    InvalidError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from entrepot.oci.errors import NameInvalidError

NOW = datetime(2030, 1, 3, 12, tzinfo=UTC)
TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
COLUMNS = (Column("NAME", "name"), Column("SIZE", "size", right=True), Column("AT", when("at")))
ITEMS: list[Item] = [
    {"name": "web", "size": 12, "at": "2030-01-01T12:00:00Z"},
    {"name": "job", "size": 3, "at": None},
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(
    wanted: Format, items: list[Item], stream: io.StringIO | None = None, *, quiet: bool = False
) -> tuple[str, str]:
    out = Output(wanted, stream or io.StringIO(), io.StringIO(), FixedClock(NOW), quiet)
    out.items(items, COLUMNS, "nothing there")
    assert isinstance(out.stream, io.StringIO)
    assert isinstance(out.notes, io.StringIO)
    return out.stream.getvalue(), out.notes.getvalue()


def test_json_is_the_items_as_they_are() -> None:
    assert json.loads(printed(Format.JSON, ITEMS)[0]) == ITEMS


def test_an_empty_list_is_an_empty_document_or_a_note_beside_nothing() -> None:
    assert printed(Format.JSON, []) == printed(Format.YAML, []) == ("[]\n", "")
    assert printed(Format.TABLE, []) == printed(Format.CSV, []) == printed(Format.NAME, []) == ("", "nothing there\n")


def test_who_wants_it_quiet_reads_results_only() -> None:
    assert printed(Format.TABLE, [], quiet=True) == ("", "")
    assert printed(Format.TABLE, ITEMS, quiet=True) == printed(Format.TABLE, ITEMS)


def test_names_are_one_a_line_and_nothing_else() -> None:
    assert printed(Format.NAME, [*ITEMS, {"name": "two\nlines\x1b"}])[0] == "web\njob\ntwo lines\ufffd\n"


def test_csv_has_a_heading_and_each_field_with_times_as_the_server_says_them() -> None:
    shown = printed(Format.CSV, [{"name": "a,b", "in": {"of": 1, "on": None}, "tags": ["x", "y"], "is": True}])[0]

    assert shown == 'name,in.of,in.on,tags,is\n"a,b",1,,x y,true\n'
    assert "2030-01-01T12:00:00Z\n" in printed(Format.CSV, ITEMS)[0]


def test_csv_of_items_that_differ_has_the_fields_of_all() -> None:
    assert printed(Format.CSV, [{"a": 1}, {"b": 2}])[0] == "a,b\n1,\n,2\n"


@pytest.mark.parametrize("begin", ["=", "+", "-", "@"])
def test_no_cell_of_csv_is_a_formula(begin: str) -> None:
    hostile = f'{begin}HYPERLINK("https://example.org")'
    shown = printed(Format.CSV, [{"name": hostile, "list": [hostile], "in": {"of": hostile}}])[0]

    assert list(csv.reader(io.StringIO(shown)))[1] == [f"'{hostile}"] * 3


def test_a_negative_number_is_no_formula() -> None:
    assert printed(Format.CSV, [{"n": -5}])[0] == "n\n-5\n"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=3))
def test_documents_say_what_the_server_said_and_steer_no_terminal(items: list[Item]) -> None:
    shown_json, shown_yaml = printed(Format.JSON, items)[0], printed(Format.YAML, items)[0]

    assert json.loads(shown_json) == yaml.safe_load(shown_yaml) == items
    for shown in (shown_json, shown_yaml):
        assert not [each for each in shown if unicodedata.category(each) in {"Cc", "Zl", "Zp"} and each != "\n"]
        assert not [each for each in shown if unicodedata.bidirectional(each) in TURNS]


@given(st.lists(st.dictionaries(st.text(), JSON, min_size=1, max_size=3), min_size=1, max_size=3))
def test_each_item_is_one_line_of_csv(items: list[Item]) -> None:
    shown = printed(Format.CSV, items)[0]

    assert len(shown.splitlines()) == len(list(csv.reader(io.StringIO(shown)))) == len(items) + 1


def test_a_table_has_one_line_per_item_with_times_absolute_and_relative() -> None:
    lines = [line.rstrip() for line in printed(Format.TABLE, ITEMS)[0].splitlines()]

    assert lines == [
        "NAME   SIZE   AT",
        "web      12   2030-01-01T12:00:00Z (2 d ago)",
        "job       3   -",
    ]


def test_off_a_terminal_a_long_value_is_neither_cut_nor_folded() -> None:
    long = "x" * 5_000

    assert long in printed(Format.TABLE, [{"name": long}])[0]


def test_no_color_switches_colors_off_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    colored = printed(Format.TABLE, [{"name": "critical"}], Terminal())[0]
    monkeypatch.setenv("NO_COLOR", "1")
    bare = printed(Format.TABLE, [{"name": "critical"}], Terminal())[0]

    assert "\x1b[1;31m" in colored
    assert "31m" not in bare


def test_markup_and_escapes_of_a_hostile_name_are_shown_not_obeyed() -> None:
    shown = printed(Format.TABLE, [{"name": "[red]a\x1b[2Jb\u202e"}])[0]

    assert "[red]a\ufffd[2Jb\ufffd" in shown


def test_progress_is_silent_off_a_terminal() -> None:
    out = Output(Format.TABLE, io.StringIO(), io.StringIO(), FixedClock(NOW))
    with out.progress("waiting") as tell:
        tell("still")

    assert isinstance(out.notes, io.StringIO)
    assert out.notes.getvalue() == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EntrepotError("x"), ExitCode.FAILED),
        (ConflictError("x"), ExitCode.FAILED),
        (UnavailableError("x"), ExitCode.FAILED),
        (InvalidError("x"), ExitCode.USAGE),
        (NameInvalidError("x"), ExitCode.USAGE),
        (NotFoundError("x"), ExitCode.NOT_FOUND),
        (DeniedError("x"), ExitCode.DENIED),
        (UnauthenticatedError("x"), ExitCode.DENIED),
        (BlockedError("x"), ExitCode.BLOCKED),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: EntrepotError, code: ExitCode) -> None:
    assert exit_code(error) is code


def test_an_error_is_one_line() -> None:
    stream = io.StringIO()
    code = report(NotFoundError("no such\nthing\x1b[31m"), stream)

    assert (code, stream.getvalue()) == (ExitCode.NOT_FOUND, "error: no such thing\ufffd[31m\n")


def test_durations_are_told_in_milliseconds_below_a_second() -> None:
    assert (duration(timedelta(milliseconds=43)), duration(timedelta(seconds=2.14))) == ("43 ms", "2.1 s")


@given(st.text() | st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zp"])))
def test_plain_text_is_one_line_and_steers_no_terminal(text: str) -> None:
    shown = plain(text)

    assert not [each for each in shown if unicodedata.category(each) in {"Cc", "Zl", "Zp"}]
    assert not [each for each in shown if unicodedata.bidirectional(each) in TURNS]
    assert len(shown.splitlines()) <= 1
