import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard

from entrepot.scanning.errors import FeedInvalidError
from entrepot.scanning.feeds.read import Feed, FeedForm, read_feed
from entrepot.scanning.model import Advisory

DATA = Path(__file__).parents[3] / "data" / "feeds"


def record(number: int, ecosystem: str = "PyPI", name: str = "Demo", **more: object) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2"}]}]
    affected = [{"package": {"ecosystem": ecosystem, "name": name}, "ranges": ranges}]
    return {"id": f"X-{number}", "modified": f"2024-01-01T00:00:{number % 60:02}Z", "affected": affected, **more}


def feed_of(tmp_path: Path, *documents: object) -> tuple[Feed, list[Advisory]]:
    file = tmp_path / "feed"
    file.write_bytes(b"".join(d if isinstance(d, bytes) else json.dumps(d).encode() + b"\n" for d in documents))
    feed, found = read_feed(file)
    return feed, list(found)


@pytest.mark.parametrize("packed", [False, True])
def test_osv_lines_plain_and_zstd_are_one_feed(tmp_path: Path, packed: bool) -> None:
    text = (DATA / "debian-12.jsonl").read_bytes()
    file = tmp_path / "feed"
    file.write_bytes(zstandard.ZstdCompressor().compress(text) if packed else text)

    feed, found = read_feed(file)

    assert (feed.source, feed.form) == ("osv/debian:12", FeedForm.OSV)
    assert (feed.namespaces, feed.coverage) == (("debian:12",), {"debian:12": None})
    assert (feed.records, feed.broken, feed.skipped) == (len(text.splitlines()), 0, {})
    assert feed.built_at is not None
    assert feed.built_at.tzinfo is UTC
    assert len(list(found)) >= feed.records


def test_one_osv_document_over_several_lines_is_a_feed(tmp_path: Path) -> None:
    feed, found = feed_of(tmp_path, json.dumps(record(7), indent=2).encode())

    assert (feed.source, feed.records) == ("osv/pypi/x", 1)
    assert [(a.id, a.package) for a in found] == [("X-7", "demo")]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_secdb_file_is_a_feed_of_its_branch_without_a_date(tmp_path: Path, indent: int | None) -> None:
    document = json.loads((DATA / "alpine-3.15-main.json").read_text())
    feed, found = feed_of(tmp_path, json.dumps(document, indent=indent).encode())

    assert (feed.source, feed.form) == ("secdb/alpine:3.15/main", FeedForm.SECDB)
    assert (feed.coverage, feed.built_at) == ({"alpine:3.15": None}, None)
    assert feed.records == len(document["packages"])
    assert {a.package for a in found} == {entry["pkg"]["name"] for entry in document["packages"]}


def test_a_declaration_names_source_date_attribution_and_what_is_covered(tmp_path: Path) -> None:
    declared = {
        "source": "demo/debian-and-pypi",
        "built_at": "2025-02-12T18:06:00+01:00",
        "attribution": "by whom",
        "packages": {"pypi": ["Jinja2", "Flask"], "debian:12": ["openssl"], "debian:11": None},
    }
    feed, found = feed_of(tmp_path, {"entrepot_feed": declared}, record(1), record(2, "Debian:13"))

    assert (feed.source, feed.attribution) == ("demo/debian-and-pypi", "by whom")
    assert feed.built_at == datetime(2025, 2, 12, 17, 6, tzinfo=UTC)
    assert feed.coverage == {"debian:11": None, "debian:12": {"openssl"}, "pypi": {"jinja2", "flask"}}
    assert feed.namespaces == ("debian:11", "debian:12", "debian:13", "pypi")
    assert len(found) == 2


def test_a_declaration_may_stand_before_a_secdb_file_and_alone(tmp_path: Path) -> None:
    first = {"entrepot_feed": {"packages": {"alpine:3.15": ["openssl"]}}}
    secdb, found = feed_of(tmp_path, first, (DATA / "alpine-3.15-main.json").read_bytes())
    alone, nothing = feed_of(tmp_path, first)

    assert secdb.source == "secdb/alpine:3.15/main"
    assert secdb.coverage == {"alpine:3.15": frozenset({"openssl"})}
    assert found
    assert (alone.source, alone.records, nothing) == ("osv/alpine:3.15", 0, [])


def test_the_newest_modified_dates_an_undeclared_feed(tmp_path: Path) -> None:
    dates = ["2024-05-01T00:00:00Z", "2024-05-01T00:00:00.5Z", "0001-01-01T00:00:00Z", "2024-04-30T23:00:00-02:00", "?"]
    feed, _ = feed_of(tmp_path, *(record(i, modified=date) for i, date in enumerate(dates)), record(9, modified=None))

    assert feed.built_at == datetime(2024, 5, 1, 1, tzinfo=UTC)


def test_two_databases_about_one_namespace_have_names_of_their_own() -> None:
    """Importing PYSEC beside GHSA must not replace it."""
    ghsa, _ = read_feed(DATA / "pypi-ghsa.jsonl")
    pysec, _ = read_feed(DATA / "pypi-pysec.jsonl")

    assert (ghsa.source, pysec.source) == ("osv/pypi/ghsa", "osv/pypi/pysec")


def test_the_derived_source_names_the_families_of_several_namespaces(tmp_path: Path) -> None:
    debian, _ = feed_of(tmp_path, record(1, "Debian:12"), record(2, "Debian:11"))
    mixed, _ = feed_of(tmp_path, record(1, "Debian:12"), record(2, "PyPI"))

    assert (debian.source, mixed.source) == ("osv/debian/x", "osv/debian+pypi/x")


def test_ecosystems_without_an_order_are_counted_and_never_covered(tmp_path: Path) -> None:
    feed, found = feed_of(tmp_path, record(1), record(2, "Android"), record(3, "Android"), record(4, "opam"))

    assert (feed.records, feed.skipped) == (4, {"Android": 2, "opam": 1})
    assert (feed.namespaces, feed.coverage) == (("pypi",), {"pypi": None})
    assert [a.id for a in found] == ["X-1"]


def test_up_to_one_percent_of_broken_records_are_counted(tmp_path: Path) -> None:
    good = [record(i) for i in range(1, 199)]
    feed, found = feed_of(tmp_path, good[0], b'{"id": 7}\n', b"\xff\n", *good[1:])

    assert (feed.records, feed.broken, len(found)) == (198, 2, 198)
    assert feed.first_broken.startswith("line 2: ")
    with pytest.raises(FeedInvalidError) as caught:
        feed_of(tmp_path, good[0], b"\xff\n", b'{"id": 7}\n', *good[1:], b"{\n")
    assert caught.value.field == "line 2"
    assert "3 of 201" in caught.value.message


@pytest.mark.parametrize(
    "line",
    [
        b"{\n",
        b"[]\n",
        b'"text"\n',
        b'{"id": "X-2"\n',
        b'{"id": "X-2", "affected": 5}\n',
        b'{"id": "X-2", "details": "\xc3"}\n',
        b'{"id": "X-2", "deep": ' + b"[" * 64 + b"]" * 64 + b"}\n",
        b'{"id": "X-2", "deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
        json.dumps(record(1)).encode() + b"\n",
    ],
)
def test_a_record_that_can_t_be_read_is_named_by_its_line(tmp_path: Path, line: bytes) -> None:
    with pytest.raises(FeedInvalidError) as caught:
        feed_of(tmp_path, record(1), line, record(3))

    assert caught.value.field == "line 2"
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (b"", "line 1"),
        (b"\n\n", "line 1"),
        (b"no json at all", "line 1"),
        (b"\xff\xfe\x00", "line 1"),
        (b"PK\x03\x04", "line 1"),
        (b"{}", "line 1"),
        (b"[1]", "line 1"),
        (b'\n{"vulnerabilities": []}', "line 2"),
        (b"[" * 100_000, "line 1"),
        (b'{"distroversion": "v3.20", "packages": []}', "line 1"),
        (b'{"distroversion": "", "reponame": "main", "packages": []}', "line 1"),
        (b'{"distroversion": "v3.20", "reponame": "main", "packages": [{"pkg": {"name": 5}}]}', "packages/0"),
        (
            b'{"distroversion": "v3.20", "reponame": "main", "packages": [{"pkg": {"name": "a", "secfixes": {"1": ["'
            + b"CVE-2024-0001 " * 50
            + b'"]}}}]}',
            "packages/0",
        ),
        (
            b'{"distroversion": "v3.9", "reponame": "m", "packages": [{"pkg": {"name": "a"}}, {"pkg": {"name": "a"}}]}',
            "packages/1",
        ),
        (b'{"entrepot_feed": {"built_at": "yesterday"}}', "line 1"),
        (b'{"entrepot_feed": {"built_at": "2025-01-01T00:00:00"}}', "line 1"),
        (b'{"entrepot_feed": {"source": "../../etc passwd"}}', "line 1"),
        (b'{"entrepot_feed": {"packets": {}}}', "line 1"),
        (b'{"entrepot_feed": {"packages": {"opam": ["dune"]}}}', "line 1"),
        (b'{"entrepot_feed": {}}\nno json', "line 2"),
    ],
)
def test_what_is_no_feed_is_refused_and_its_line_named(tmp_path: Path, text: bytes, field: str) -> None:
    with pytest.raises(FeedInvalidError) as caught:
        feed_of(tmp_path, text)

    assert caught.value.field == field


def test_a_feed_of_nothing_comparable_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FeedInvalidError, match=r"found: opam\)"):
        feed_of(tmp_path, record(1, "opam"))
