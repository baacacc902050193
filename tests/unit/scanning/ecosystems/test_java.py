import io
import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from entrepot.scanning.ecosystems.java.archive import Archive, Budget
from entrepot.scanning.ecosystems.java.extract import JavaExtractor
from entrepot.scanning.ecosystems.java.names import from_file_name
from entrepot.scanning.extractor import Aside, LimitExceededError, MetadataInvalidError, Spool
from entrepot.scanning.layers.overlay import overlay
from entrepot.scanning.versions.scheme import is_ordered
from tests.fakes.jars import END, jar, manifest, patched, pom
from tests.fakes.tars import codes, facts_of, member, tar

LOG4J = pom("org.apache.logging.log4j", "log4j-core", "2.14.1")
FOUND = ("org.apache.logging.log4j:log4j-core", "2.14.1")


class Spooled(io.BytesIO):
    def __init__(self, data: bytes, spool: Spool | None) -> None:
        super().__init__(data)
        self.spool = spool or io.BytesIO()


def read(
    data: bytes, path: str = "app.jar", spool: Spool | None = None
) -> tuple[list[tuple[str, str]], MetadataInvalidError | None]:
    found = []
    try:
        for package in JavaExtractor().extract(path, Spooled(data, spool)):
            assert (package.ecosystem, package.path) == ("maven" if ":" in package.name else "jar", path)
            found.append((package.name, package.version))
    except MetadataInvalidError as error:
        return found, error
    return found, None


@contextmanager
def at_most(peak_bytes: int) -> Iterator[None]:
    """Fails if more than *peak_bytes* are held at once that were not before."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= peak_bytes


def nested(depth: int, innermost: bytes, *, is_stored: bool = False) -> bytes:
    for _ in range(depth):
        innermost = jar({"lib/inner.jar": innermost}, is_stored=is_stored)
    return innermost


def test_a_shaded_jar_is_all_that_it_holds() -> None:
    data = jar({**manifest(), **pom("a.b", "own", "1"), **LOG4J, "a/B.class": b"\xca\xfe\xba\xbe"})

    assert read(data) == ([("a.b:own", "1"), FOUND], None)


def test_an_artifact_is_named_once_however_often_it_is_inside() -> None:
    inner = jar(LOG4J)

    assert read(jar({"a.jar": inner, "b.jar": inner, **LOG4J})) == ([FOUND], None)


@pytest.mark.parametrize("is_stored", [True, False])
def test_archives_are_read_down_to_the_third_level(*, is_stored: bool) -> None:
    assert read(nested(3, jar(LOG4J), is_stored=is_stored), "shop.ear") == ([FOUND], None)
    found, error = read(nested(4, jar(LOG4J), is_stored=is_stored), "shop.ear")
    assert isinstance(error, LimitExceededError)
    assert (found, error.code) == ([], "limit:nesting")


def test_a_jar_in_a_jar_fifty_times_is_a_limit_and_the_rest_is_read() -> None:
    found, error = read(jar({"deep.jar": nested(50, jar(LOG4J)), **pom("a.b", "c", "1")}))

    assert (found, isinstance(error, LimitExceededError)) == ([("a.b:c", "1")], True)


def test_an_executable_jar_with_a_script_in_front_is_read() -> None:
    assert read(jar(LOG4J, before=b"#!/bin/bash\nexec java -jar $0\n" * 40)) == ([FOUND], None)


@pytest.mark.parametrize(
    ("name", "attributes", "expected"),
    [
        ("spring-beans-5.3.17.jar", {"Implementation_Title": "spring-beans", "Implementation_Version": "5.3.17"},
         ("org.springframework:spring-beans", "5.3.17")),
        ("spring-webmvc.jar", {"Implementation_Title": "spring-webmvc", "Implementation_Version": "5.3.17"},
         ("org.springframework:spring-webmvc", "5.3.17")),
        ("jackson-core-2.9.jar", {"Implementation_Vendor_Id": "com.fasterxml.jackson.core", "Bundle_Version": "2.9.0"},
         ("com.fasterxml.jackson.core:jackson-core", "2.9")),
        ("catalina.jar", {"Implementation_Title": "Apache Tomcat", "Implementation_Version": "9.0.1",
                          "Bundle_SymbolicName": "org.apache.tomcat-catalina"},
         ("org.apache.tomcat:tomcat-catalina", "9.0.1")),
        ("thing.jar", {"Bundle_SymbolicName": "org.example.some.thing;singleton:=true", "Bundle_Version": "1.2"},
         ("org.example.some:thing", "1.2")),
        ("lucene-core-9.8.0.jar", {"Implementation_Version": "9.8.0 d914b3722bd5b8ef31ccf7e8ddc638a87fd648db - x"},
         ("org.apache.lucene:lucene-core", "9.8.0")),
        ("some-thing-1.0.jar", {}, ("some-thing", "1.0")),
        ("some-thing-1.0.jar", {"Implementation_Version": "${project.version}"}, ("some-thing", "1.0")),
    ],
)  # fmt: skip
def test_without_properties_manifest_and_file_name_speak(
    name: str, attributes: dict[str, str], expected: tuple[str, str]
) -> None:
    assert read(jar(manifest(**attributes)), f"opt/{name}") == ([expected], None)


def test_properties_beat_manifest_and_file_name() -> None:
    data = jar({**manifest(Implementation_Title="other", Implementation_Version="3"), **LOG4J})

    assert read(data, "renamed-9.jar") == ([FOUND], None)


def test_a_known_artifact_that_shades_others_is_still_itself() -> None:
    assert read(jar({**manifest(), **LOG4J}), "elasticsearch-8.1.0.jar") == (
        [FOUND, ("org.elasticsearch:elasticsearch", "8.1.0")],
        None,
    )


@pytest.mark.parametrize("name", ["netty-codec-4.1.68.Final", "commons-collections-3.2.1"])
def test_an_image_with_a_jar_whose_group_nothing_tells_is_in_no_namespace_that_a_feed_covers(name: str) -> None:
    facts = facts_of(tar(member(f"opt/{name}.jar", jar(manifest())), member("opt/log4j.jar", jar(LOG4J))))
    found = overlay([facts], {"rootfs": {"type": "layers", "diff_ids": [facts.diff_id]}})

    assert found.reasons == ()
    assert [(p.namespace, p.package.name) for p in found.packages] == [
        ("jar", name.rpartition("-")[0]),
        ("maven", FOUND[0]),
    ]
    assert not is_ordered("jar")


def test_a_jar_that_says_nothing_of_itself_is_no_package() -> None:
    assert read(jar(manifest())) == ([], None)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("guava-31.1-jre", ("guava", "31.1-jre")),
        ("log4j-1.2-api-2.17.1", ("log4j-1.2-api", "2.17.1")),
        ("spring-core-5.0.0.RC1", ("spring-core", "5.0.0.RC1")),
        ("foo-1.0-beta-3", ("foo", "1.0-beta-3")),
        ("foo-1.0-20240101.120000-1", ("foo", "1.0-20240101.120000-1")),
        ("netty-tcnative-2.0.65.Final-linux-x86_64", ("netty-tcnative", "2.0.65.Final-linux-x86_64")),
        ("app", ("app", "")),
    ],
)
def test_a_version_begins_where_no_word_of_the_name_follows(name: str, expected: tuple[str, str]) -> None:
    assert from_file_name(name) == expected


def test_properties_without_a_group_are_named_by_their_place() -> None:
    data = jar({"META-INF/maven/a.b/c/pom.properties": b"version=1\n"})

    assert read(data) == ([("a.b:c", "1")], None)


def test_a_group_that_was_left_to_be_filled_in_is_that_of_its_place() -> None:
    data = jar({"META-INF/maven/a.b/c/pom.properties": b"version=1\ngroupId=${project.groupId}\nartifactId=x${y}\n"})

    assert read(data) == ([("a.b:c", "1")], None)


@pytest.mark.parametrize(
    "properties",
    [
        b"",
        b"groupId=a.b\nartifactId=c\n",
        b"version=\n",
        b"version=${project.version}\n",
        b"version=1.0-${revision}\n",
        b"#".ljust(64 << 10, b"-") + b"\nversion=1\n",
        b"#".ljust((64 << 10) - 11, b"-") + b"\nversion=1.2.3\n",
    ],
    ids=["empty", "no version", "blank", "placeholder", "placeholder inside", "beyond", "cut within the version"],
)
def test_properties_without_a_version_are_an_error_and_the_manifest_speaks(properties: bytes) -> None:
    data = jar({"META-INF/maven/a.b/c/pom.properties": properties, **LOG4J})
    found, error = read(data)

    assert (found, error is not None) == ([FOUND], True)
    alone, error = read(jar({**manifest(), "META-INF/maven/a.b/c/pom.properties": properties}), "spring-core-5.0.0.jar")
    assert (alone, error is not None) == ([("org.springframework:spring-core", "5.0.0")], True)


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", b"not an archive" * 100, jar(LOG4J)[:-1], jar(LOG4J)[:-END]],
    ids=["empty", "short", "text", "cut by one", "no end"],
)
def test_what_is_no_archive_is_an_error(data: bytes) -> None:
    assert read(data)[0] == []
    assert read(data)[1] is not None


@pytest.mark.parametrize("offset", [-END + 12, -END + 16])
@pytest.mark.parametrize("size", [1, 45, 1 << 20, (1 << 32) - 2, (1 << 32) - 1])
def test_a_lying_directory_is_an_error_and_costs_nothing(offset: int, size: int) -> None:
    found, error = read(patched(jar(LOG4J), offset, "<I", size))

    assert (found, error is not None) == ([], True)


@pytest.mark.parametrize("size", [0, 1, 1 << 31, (1 << 32) - 1])
def test_an_uncompressed_size_that_lies_is_not_believed(size: int) -> None:
    data = jar(LOG4J)

    assert read(patched(data, data.index(b"PK\x01\x02") + 24, "<I", size)) == ([FOUND], None)


@pytest.mark.parametrize("size", [0, 1, 1 << 31, (1 << 32) - 1])
def test_a_compressed_size_that_lies_is_an_error_and_others_are_read(size: int) -> None:
    data = jar({**LOG4J, **pom("a.b", "c", "1")})
    found, error = read(patched(data, data.index(b"PK\x01\x02") + 20, "<I", size))

    assert (found, error is not None) == ([("a.b:c", "1")], True)


def test_an_entry_of_a_nested_archive_does_not_reach_into_the_one_around() -> None:
    inner = jar(LOG4J)
    inner = patched(inner, inner.index(b"PK\x01\x02") + 20, "<I", len(inner))
    found, error = read(jar({"inner.jar": inner, "behind": bytes(10_000)}, is_stored=True))

    assert (found, error is not None) == ([], True)


@pytest.mark.parametrize(("field", "value"), [(8, 1), (10, 12)], ids=["encrypted", "bzip2"])
def test_an_entry_that_java_could_not_read_is_an_error(field: int, value: int) -> None:
    data = jar(LOG4J)
    found, error = read(patched(data, data.index(b"PK\x01\x02") + field, "<H", value))

    assert (found, error is not None) == ([], True)


def test_more_archives_than_any_honest_one_holds_are_a_limit() -> None:
    inner = jar({}, is_stored=True)
    found, error = read(jar({f"{index}.jar": inner for index in range(10_001)}, is_stored=True))

    assert isinstance(error, LimitExceededError)
    assert found == []


def test_100_000_entries_more_than_16_bits_can_count_are_passed_over_and_not_held() -> None:
    data = jar({**{f"p/C{index:09}.class": b"" for index in range(100_000)}, **LOG4J}, is_stored=True)

    with tempfile.TemporaryFile(buffering=0) as spool, at_most(16 << 20):
        assert read(data, spool=spool) == ([FOUND], None)


def test_a_bomb_in_a_bomb_costs_no_more_than_its_limit() -> None:
    bomb = jar({"zeros.jar": bytes(80 << 20)})
    data = jar({"first.jar": bomb, "second.jar": bomb, **LOG4J})

    with at_most(80 << 20):
        found, error = read(data)
    assert isinstance(error, LimitExceededError)
    assert found == [FOUND]


def inflated(archive: Archive) -> int:
    return sum(len(archive.beginning(entry, 100)) for entry in archive.entries(lambda _: True))


@pytest.mark.parametrize(("entries", "inflated_bytes", "is_enough"), [(3, 300, True), (2, 300, False), (3, 299, False)])
def test_a_budget_is_for_all_entries_together(entries: int, inflated_bytes: int, *, is_enough: bool) -> None:
    data = jar({f"{index}.jar": bytes(100) for index in range(3)})
    budget = Budget(entries=entries, inflated_bytes=inflated_bytes)
    archive = Archive(Aside(io.BytesIO(data), len(data)), 0, len(data), budget)

    if is_enough:
        assert inflated(archive) == 300
    else:
        with pytest.raises(LimitExceededError):
            inflated(archive)


def test_a_jar_may_be_larger_than_metadata() -> None:
    facts = facts_of(tar(member("opt/app.jar", jar({**LOG4J, "x": b"x" * 2_000}, is_stored=True))), metadata_bytes=100)

    assert ([package.name for package in facts.packages], codes(facts)) == ([FOUND[0]], [])


def test_a_layer_says_which_limit_a_jar_has_passed() -> None:
    facts = facts_of(tar(member("opt/app.jar", nested(4, jar(LOG4J)))))

    assert (facts.complete, codes(facts)) == (False, ["limit:nesting"])


def test_archives_are_wanted_by_their_endings() -> None:
    wants = JavaExtractor().wants

    assert all(map(wants, ("a.jar", "b/a.war", "a.ear", "p.hpi", "p.jpi")))
    assert not any(map(wants, ("a.jar.txt", "jar", "a.zip", "a.class")))
