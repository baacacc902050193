"""Files as the tools write them: RubyGems 3.3, Composer 1 and 2, .NET 8, conda 24."""

import io
from collections.abc import Mapping

import msgspec
import pytest

from entrepot.scanning.ecosystems.conda.extract import CondaExtractor
from entrepot.scanning.ecosystems.dotnet.extract import DotnetExtractor
from entrepot.scanning.ecosystems.php.extract import PhpExtractor
from entrepot.scanning.ecosystems.ruby.extract import RubyExtractor
from entrepot.scanning.extractor import Extractor, MetadataInvalidError
from entrepot.scanning.model import Package
from entrepot.scanning.versions.scheme import package_name

GEMS = "usr/local/lib/ruby/gems/3.2.0/specifications"
STUB = b"# -*- encoding: utf-8 -*-\n# stub: nokogiri 1.15.4 x86_64-linux lib\n\n"
BODY = b"""Gem::Specification.new do |s|
  s.name = "nokogiri".freeze
  s.version = "1.15.4"
  s.platform = "x86_64-linux".freeze
  s.summary = "s.version = \\"9\\"".freeze
  s.add_runtime_dependency(%q<racc>.freeze, ["~> 1.4"])
end
"""
MONOLOG = {"name": "Monolog/Monolog", "version": "v2.9.1", "version_normalized": "2.9.1.0", "type": "library"}


def extract(extractor: Extractor, data: bytes | object, path: str = "x") -> list[Package]:
    return list(extractor.extract(path, io.BytesIO(data if isinstance(data, bytes) else msgspec.json.encode(data))))


def named(packages: list[Package]) -> list[tuple[str, str]]:
    return [(package.name, package.version) for package in packages]


def deps(libraries: Mapping[str, str], files: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    target = ".NETCoreApp,Version=v8.0/linux-x64"
    return {
        "runtimeTarget": {"name": target, "signature": ""},
        "targets": {".NETCoreApp,Version=v8.0": {}, target: files},
        "libraries": {key: {"type": kind, "serviceable": True, "sha512": ""} for key, kind in libraries.items()},
    }


@pytest.mark.parametrize("data", [STUB + BODY, BODY, STUB + b"raise 'evaluated'\n"], ids=["both", "strings", "stub"])
def test_a_gem_is_named_by_its_stub_else_by_its_strings(data: bytes) -> None:
    path = f"{GEMS}/nokogiri-1.15.4-x86_64-linux.gemspec"

    assert extract(RubyExtractor(), data, path) == [
        Package("rubygems", "nokogiri", "1.15.4", "x86_64-linux", "nokogiri", "1.15.4", path)
    ]


def test_a_gem_for_any_platform_has_no_arch() -> None:
    (package,) = extract(RubyExtractor(), b"# stub: rake 13.0.6 ruby lib\n")

    assert (package.name, package.arch) == ("rake", "")


@pytest.mark.parametrize("quoted", [b'"1.2"', b"'1.2'", b'"1.2".freeze', b'Gem::Version.new("1.2")', b"'1.2' # x"])
def test_a_version_is_read_however_it_is_written(quoted: bytes) -> None:
    data = b"Gem::Specification.new do |spec|\n  spec.name = 'a'\n  spec.version = " + quoted + b"\nend\n"

    assert named(extract(RubyExtractor(), data)) == [("a", "1.2")]


@pytest.mark.parametrize(
    "version", [b"A::VERSION", b'"#{A::VERSION}"', b'"1" + "2"', b'File.read("VERSION")', b'"1.2', b"%q(1)"]
)
def test_a_version_that_had_to_be_evaluated_is_an_error(version: bytes) -> None:
    with pytest.raises(MetadataInvalidError):
        extract(RubyExtractor(), b"s.name = 'a'\ns.version = " + version + b"\n")


def test_installed_gems_are_wanted_and_default_ones_too() -> None:
    wants = RubyExtractor().wants

    assert all(map(wants, (f"{GEMS}/a-1.gemspec", f"{GEMS}/default/a-1.gemspec", "specifications/a-1.gemspec")))
    assert not any(map(wants, ("a/a.gemspec", f"{GEMS}/x/a.gemspec", f"{GEMS}/a.rb", "myspecifications/a.gemspec")))


@pytest.mark.parametrize("document", [{"packages": [MONOLOG], "dev": True, "dev-package-names": []}, [MONOLOG]])
def test_composer_names_are_compared_in_lower_case(document: object) -> None:
    (package,) = extract(PhpExtractor(), document, "app/vendor/composer/installed.json")

    assert (package.ecosystem, package.name, package.version) == ("packagist", "Monolog/Monolog", "v2.9.1")
    assert package.source_name == package_name("packagist", package.name) == "monolog/monolog"


def test_a_broken_composer_entry_is_an_error_after_all_others() -> None:
    packages = PhpExtractor().extract("x", io.BytesIO(msgspec.json.encode({"packages": [{"name": "a/b"}, MONOLOG]})))

    assert next(packages).name == "Monolog/Monolog"
    with pytest.raises(MetadataInvalidError):
        next(packages)


def test_composer_lists_are_wanted_in_any_vendor_directory() -> None:
    wants = PhpExtractor().wants

    assert all(map(wants, ("a/vendor/composer/installed.json", "lib/composer/installed.json")))
    assert not any(map(wants, ("composer.lock", "a/installed.json", "mycomposer/installed.json")))


def test_nuget_packages_are_those_with_files_and_no_projects() -> None:
    document = deps(
        {
            "App/1.0.0": "project",
            "Newtonsoft.Json/13.0.1": "package",
            "Compile.Only/1.0.0": "package",
            "Meta/1.0.0": "package",
            "Native/2.0.0": "package",
            "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1": "runtimepack",
        },
        {
            "App/1.0.0": {"runtime": {"App.dll": {}}},
            "Newtonsoft.Json/13.0.1": {"runtime": {"lib/net6.0/Newtonsoft.Json.dll": {"fileVersion": "13.0.1.25517"}}},
            "Compile.Only/1.0.0": {"compile": {"ref/a.dll": {}}, "compileOnly": True},
            "Meta/1.0.0": {"dependencies": {"Native": "2.0.0"}, "runtime": {}},
            "Native/2.0.0": {"native": {"runtimes/linux-x64/native/a.so": {}}},
        },
    )
    packages = extract(DotnetExtractor(), b"\xef\xbb\xbf" + msgspec.json.encode(document), "app/App.deps.json")

    assert named(packages) == [
        ("Newtonsoft.Json", "13.0.1"),
        ("Native", "2.0.0"),
        ("Microsoft.NETCore.App.Runtime.linux-x64", "8.0.1"),
    ]
    assert packages[0].source_name == package_name("nuget", "Newtonsoft.Json") == "newtonsoft.json"


def test_nuget_packages_without_targets_are_all_there() -> None:
    assert named(extract(DotnetExtractor(), {"libraries": {"A/1": {"type": "package"}}})) == [("A", "1")]


def test_a_library_without_a_version_is_an_error_after_all_others() -> None:
    document = {"libraries": {"A": {"type": "package"}, "B/1": {"type": "package"}}}
    packages = DotnetExtractor().extract("x", io.BytesIO(msgspec.json.encode(document)))

    assert next(packages).name == "B"
    with pytest.raises(MetadataInvalidError):
        next(packages)


def test_a_conda_record_is_one_package() -> None:
    path = "opt/conda/conda-meta/jupyterlab-3.1.12-py39hf3db000.json"
    record = {"name": "jupyterlab", "version": "3.1.12", "subdir": "linux-64", "build_number": 1, "files": ["bin/a"]}

    assert CondaExtractor().wants(path)
    assert not CondaExtractor().wants("opt/conda/conda-meta/history")
    assert extract(CondaExtractor(), record, path) == [
        Package("conda", "jupyterlab", "3.1.12", "linux-64", "jupyterlab", "3.1.12", path)
    ]


@pytest.mark.parametrize("extractor", [PhpExtractor(), DotnetExtractor(), CondaExtractor()], ids=lambda e: e.name)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"null",
        b'{"libraries": 1, "packages": 1, "name": 1}',
        b'{"name": "\xff", "version": "1", "packages": [{"name": "\xff"}], "libraries": {"\xff/1": {}}}',
        b'{"x": ' + b"[" * 100_000,
        b"[" * 100_000,
        b'{"packages": [' + b"{}," * 250_001 + b'{}], "libraries": {}}',
        b'{"packages": [], "libraries": {}, "x": "' + b"x" * (16 << 20) + b'"}',
        b'{"name": "' + b"x" * 1025 + b'", "packages": [{"name": "' + b"x" * 1025 + b'"}], "libraries": {"x": {}}}',
    ],
    ids=["empty", "no UTF-8", "null", "types", "text", "depth", "deeper", "objects", "size", "long"],
)
def test_a_document_that_no_tool_writes_is_an_error(extractor: Extractor, data: bytes) -> None:
    if extractor.name == "dotnet":
        data = data.replace(b'"x": {}', b'"x": {"type": "package"}')
    with pytest.raises(MetadataInvalidError):
        extract(extractor, data)
