"""Whatever a package's file holds, its extractor yields packages and then raises its own error, or ends."""

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.scanning.ecosystems.conda.extract import CondaExtractor
from entrepot.scanning.ecosystems.dotnet.extract import DotnetExtractor
from entrepot.scanning.ecosystems.java.extract import JavaExtractor
from entrepot.scanning.ecosystems.php.extract import PhpExtractor
from entrepot.scanning.ecosystems.ruby.extract import RubyExtractor
from entrepot.scanning.ecosystems.rust.extract import RustExtractor
from entrepot.scanning.ecosystems.sbom.extract import SbomExtractor
from entrepot.scanning.executables import read_executable
from entrepot.scanning.extractor import LONGEST_VALUE, Aside, MetadataInvalidError
from entrepot.scanning.model import Package
from tests.fakes.auditable import auditable, crates
from tests.fakes.damage import damaged
from tests.fakes.jars import jar, manifest, pom

JAR: Final = jar(
    {
        **manifest(Implementation_Version="1", Bundle_SymbolicName="a.b.c"),
        **pom("a.b", "c", "1"),
        "stored.jar": jar(pom("d", "e", "2"), is_stored=True),
    },
    is_stored=True,
)
BILL: Final = b"""{"spdxVersion": "SPDX-2.3", "packages": [{"externalRefs": [
{"referenceType": "purl", "referenceLocator": "pkg:npm/%40a/b@1?arch=x&upstream=c%402#d"}]}]}"""


def _rust(data: bytes) -> Iterator[Package]:
    program = read_executable(Aside(io.BytesIO(data), len(data)))
    return iter(()) if program is None else RustExtractor().extract("x", program)


CASES: Final[dict[str, tuple[Callable[[bytes], Iterator[Package]], bytes]]] = {
    "ruby": (
        lambda data: RubyExtractor().extract("x", io.BytesIO(data)),
        b'# stub: a 1 ruby lib\ns.name = "a"\ns.version = "1"\n',
    ),
    "php": (
        lambda data: PhpExtractor().extract("x", io.BytesIO(data)),
        b'{"packages": [{"name": "a/b", "version": "1"}, {"name": "c/d", "version": "2"}]}',
    ),
    "dotnet": (
        lambda data: DotnetExtractor().extract("x", io.BytesIO(data)),
        b'{"runtimeTarget":{"name":"t"},"targets":{"t":{"A/1":{"runtime":{"a":{}}}}},"libraries":{"A/1":{"type":"package"}}}',
    ),
    "conda": (lambda data: CondaExtractor().extract("x", io.BytesIO(data)), b'{"name": "a", "version": "1"}'),
    "java": (lambda data: JavaExtractor().extract("lib/c-1.jar", io.BytesIO(data)), JAR),
    "rust": (_rust, auditable(crates(("a", "1"), ("b", "2")))),
    "sbom": (
        lambda data: SbomExtractor().extract("x", io.BytesIO(data)),
        BILL,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_honest_file_has_packages(name: str) -> None:
    extract, honest = CASES[name]

    assert list(extract(honest))


@pytest.mark.parametrize("name", CASES)
@given(st.data())
def test_a_damaged_file_gives_packages_or_the_error_of_the_port(name: str, data: st.DataObject) -> None:
    extract, honest = CASES[name]
    file = data.draw(damaged(honest))
    found = []
    for _ in range(2):
        packages: list[Package] = []
        with contextlib.suppress(MetadataInvalidError):
            packages.extend(extract(file))
        found.append(packages)

    assert found[0] == found[1]
    for package in found[0]:
        texts = (package.name, package.version, package.source_name, package.source_version, package.arch)
        assert all(text.isprintable() and len(text) <= 4 * LONGEST_VALUE for text in texts)
        assert package.name
        assert package.version
