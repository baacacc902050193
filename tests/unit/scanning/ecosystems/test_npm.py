import contextlib
import io
import tracemalloc

import pytest

from entrepot.scanning.ecosystems.npm.extract import NpmExtractor
from entrepot.scanning.extractor import MetadataInvalidError
from entrepot.scanning.model import Package

PATH = "app/node_modules/left-pad/package.json"


def extract(data: bytes, path: str = PATH) -> list[Package]:
    return list(NpmExtractor().extract(path, io.BytesIO(data)))


def test_a_node_package_is_what_its_package_json_says() -> None:
    assert extract(b'{"name": "left-pad", "version": "1.3.0", "scripts": {"a": [1]}}') == [
        Package("npm", "left-pad", "1.3.0", "", "left-pad", "1.3.0", PATH)
    ]


@pytest.mark.parametrize(
    "path",
    [
        "node_modules/a/package.json",
        "usr/lib/node_modules/npm/node_modules/a/package.json",
        "app/node_modules/@scope/a/package.json",
        "app/node_modules/a/node_modules/@scope/b/node_modules/c/package.json",
        "app/node_modules/.pnpm/a@1.0.0/node_modules/a/package.json",
    ],
)
def test_npm_wants_every_installed_packages_own_file(path: str) -> None:
    assert NpmExtractor().wants(path)


@pytest.mark.parametrize(
    "path",
    [
        "app/package.json",
        "node_modules/package.json",
        "node_modules/@scope/package.json",
        "node_modules/a/esm/package.json",
        "node_modules/@scope/a/dist/package.json",
        "node_modules/a/package.json.bak",
        "my_node_modules/a/package.json",
        "app/package-lock.json",
    ],
)
def test_npm_wants_nothing_else(path: str) -> None:
    assert not NpmExtractor().wants(path)


def test_an_alias_is_the_package_that_stands_behind_it() -> None:
    (package,) = extract(b'{"name": "real", "version": "2.0.0"}', "node_modules/alias/package.json")

    assert package.name == "real"


def test_a_package_without_a_name_is_called_as_its_folder() -> None:
    (package,) = extract(b'{"version": "1.0.0"}', "node_modules/a/node_modules/@s/b/package.json")

    assert package.name == "@s/b"


@pytest.mark.parametrize("data", [b'{"name": "a"}', b"{}", b'{"version": " "}', b'{"name": "a", "version": ""}'])
def test_what_has_no_version_is_in_no_registry(data: bytes) -> None:
    assert extract(data) == []


@pytest.mark.parametrize(
    "version", [b"4", b"null", b"true", b'["4.17.20"]', b'{"a": "4.17.20"}', b"  4  ", b'"\\ud800"']
)
def test_a_version_that_is_no_text_is_an_error(version: bytes) -> None:
    with pytest.raises(MetadataInvalidError):
        extract(b'{"name": "lodash", "version": ' + version + b"}")


def test_blanks_around_a_field_are_nothing() -> None:
    (package,) = extract(b'{"name" : \n "a\\u0062" \t, "version":\r\n"1" }')

    assert (package.name, package.version) == ("ab", "1")


@pytest.mark.parametrize("field", [b"name", b"version", b"other"])
def test_a_field_of_millions_of_values_is_not_built(field: bytes) -> None:
    data = b'{"' + field + b'": [' + b"[]," * 2_000_000 + b'[]], "x": "y"}'
    tracemalloc.start()
    try:
        with contextlib.suppress(MetadataInvalidError):
            extract(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 4 * len(data)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert len(extract(b'\xef\xbb\xbf{"name": "a", "version": "1"}')) == 1


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'"a"', b"{", b'{"name": "a" "version": "1"}', b"\xff\xfe", b'{"a":' * 50_000]
)
def test_what_is_no_object_of_json_is_an_error(data: bytes) -> None:
    with pytest.raises(MetadataInvalidError):
        extract(data)


def test_a_name_that_is_no_text_or_too_long_does_not_get_out() -> None:
    with pytest.raises(MetadataInvalidError):
        extract(b'{"name": "' + b"x" * 2_000 + b'", "version": "1"}')
    assert [p.name for p in extract(b'{"name": ["a"], "version": "1"}')] == ["left-pad"]
    assert [p.name for p in extract(b'{"name": "a\\u001b[1m", "version": "1"}')] == ["a\\x1b[1m"]
