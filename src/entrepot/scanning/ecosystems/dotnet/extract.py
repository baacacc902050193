""".NET programs and shared frameworks: the dependency manifest beside their assemblies.

Format: dotnet/sdk, "Runtime Configuration Files" (`<app>.deps.json`): `libraries` names everything that was resolved;
the runtime's entry in `targets` says which files of it are there. Design: scanning.md, section 5.
"""

from collections.abc import Iterator
from typing import ClassVar, Final

import msgspec

from entrepot.scanning.extractor import MemberReader, document, each, library, value
from entrepot.scanning.model import Package

ENDING: Final = ".deps.json"
RUNTIME_PACK: Final = "runtimepack"
TYPES: Final = frozenset(("package", RUNTIME_PACK))


class _Library(msgspec.Struct, frozen=True, gc=False):
    type: str = ""


class _Files(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What a library brings: objects by file name."""

    runtime: msgspec.Raw = msgspec.Raw()
    native: msgspec.Raw = msgspec.Raw()
    runtime_targets: msgspec.Raw = msgspec.Raw()
    resources: msgspec.Raw = msgspec.Raw()

    @property
    def are_there(self) -> bool:
        """Whether there is any file; `{}` has no quote in it."""
        return any(b'"' in bytes(each) for each in (self.runtime, self.native, self.runtime_targets, self.resources))


class _Target(msgspec.Struct, frozen=True):
    name: str = ""


class _Manifest(msgspec.Struct, frozen=True, rename="camel"):
    libraries: dict[str, _Library]
    targets: dict[str, dict[str, _Files]] = {}
    runtime_target: _Target = _Target()


_DECODER: Final = msgspec.json.Decoder(_Manifest)


class DotnetExtractor:
    """Reads `*.deps.json`."""

    name: ClassVar[str] = "dotnet"
    databases: ClassVar[frozenset[str]] = frozenset()
    folders: ClassVar[frozenset[str]] = frozenset()

    def wants(self, path: str) -> bool:
        """Whether *path* is a dependency manifest."""
        return path.endswith(ENDING)

    def extract(self, path: str, reader: MemberReader) -> Iterator[Package]:
        """The NuGet packages whose files are there, not the projects; source_name is the name in lower case.

        A package of which the runtime's target lists no file was needed to compile only. Raises MetadataInvalidError
        at once if it is no such manifest, at the end if a package has no name or version.
        """
        manifest = document(reader, _DECODER)
        targets = manifest.targets.get(manifest.runtime_target.name, {})
        there = (
            (key, found.type)
            for key, found in manifest.libraries.items()
            if found.type in TYPES and ((files := targets.get(key)) is None or files.are_there)
        )
        yield from each(there, lambda named: _package(*named, path))


def _package(key: str, kind: str, path: str) -> Package:
    name, _, version = key.partition("/")
    name = value(name).removeprefix(f"{RUNTIME_PACK}." if kind == RUNTIME_PACK else "")
    return library("nuget", name, version, path, source_name=name.lower())
