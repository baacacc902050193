""".NET programs and shared frameworks: the dependency manifest beside their assemblies.

Format: dotnet/sdk, "Runtime Configuration Files" (`<app>.deps.json`): `libraries` names everything that was resolved;
the runtime's entry in `targets` says which files of it are there. Design: scanning.md, section 5.
"""

from collections.abc import Iterator
from typing import ClassVar, Final

import msgspec

from entrepot.scanning.extractor import MemberReader, MetadataInvalidError, document, value
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
        defect: MetadataInvalidError | None = None
        for key, library in manifest.libraries.items():
            files = targets.get(key)
            if library.type not in TYPES or (files is not None and not files.are_there):
                continue
            try:
                yield _package(key, library.type, path)
            except MetadataInvalidError as error:
                defect = defect or error
        if defect is not None:
            raise defect


def _package(key: str, kind: str, path: str) -> Package:
    name, _, version = (value(part.encode()) for part in key.partition("/"))
    if kind == RUNTIME_PACK:
        name = name.removeprefix(f"{RUNTIME_PACK}.")
    if not name or not version:
        raise MetadataInvalidError("a library that is not name/version")
    return Package(
        ecosystem="nuget",
        name=name,
        version=version,
        arch="",
        source_name=name.lower(),
        source_version=version,
        path=path,
    )
