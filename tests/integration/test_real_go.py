"""Programs of a real Go, where there is one: our modules are those of `go version -m`."""

import io
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from entrepot.scanning.ecosystems.golang.extract import GolangExtractor
from entrepot.scanning.executables import read_executable
from entrepot.scanning.extractor import aside

GO = shutil.which("go") or "go"  # tests/conftest.py leaves this module out, and says so, where there is none

FILES = {
    "go.mod": """module example.com/app
go 1.18
require example.com/one v1.2.3
replace example.com/one => ./one
""",
    "main.go": 'package main\nimport "example.com/one"\nvar version string\nfunc main() { println(one.X, version) }\n',
    "one/go.mod": "module example.com/one\ngo 1.18\n",
    "one/one.go": "package one\nconst X = 1\n",
}
TARGETS: Mapping[str, Mapping[str, str]] = {
    "linux": {"GOOS": "linux", "GOARCH": "amd64"},
    "linux of 32 bits": {"GOOS": "linux", "GOARCH": "386"},
    "linux big-endian": {"GOOS": "linux", "GOARCH": "s390x"},
    "windows": {"GOOS": "windows", "GOARCH": "amd64"},
    "macos": {"GOOS": "darwin", "GOARCH": "arm64"},
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("go")
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


def go(folder: Path, *arguments: str, **environment: str) -> str:
    settings = {**os.environ, "GOFLAGS": "-mod=mod", "GOPROXY": "off", "CGO_ENABLED": "0", **environment}
    return subprocess.run([GO, *arguments], cwd=folder, env=settings, capture_output=True, text=True, check=True).stdout


def shown(text: str) -> Iterator[tuple[str, str]]:
    """Modules of `go version -m`, with replacements in place of what they replace."""
    first, *lines = text.splitlines()
    yield "stdlib", first.rpartition(": ")[2]
    rows = [line.split("\t")[1:] for line in lines]
    for row, following in zip(rows, [*rows[1:], [""]], strict=True):
        if row[0] in {"mod", "dep"}:
            is_local = following[0] == "=>" and following[2] == "(devel)"
            yield (row[1], "(devel)") if is_local else (row[1], row[2])


@pytest.mark.parametrize("target", TARGETS)
def test_modules_are_those_that_go_shows(source: Path, target: str) -> None:
    go(source, "build", "-buildvcs=false", "-ldflags=-s -w", "-o", "app", ".", **TARGETS[target])
    program = read_executable(aside(io.BytesIO((source / "app").read_bytes())))
    assert program is not None
    found = [(p.name, p.version) for p in GolangExtractor().extract("app", program)]

    assert found == list(shown(go(source, "version", "-m", "app")))
    assert [name for name, _ in found] == ["stdlib", "example.com/app", "example.com/one"]
