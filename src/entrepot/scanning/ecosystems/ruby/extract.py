"""Installed gems: the specifications that RubyGems and Bundler write, parsed as text and never evaluated.

Formats: rubygems, `Gem::Specification#to_ruby` and `Gem::StubSpecification`: the first lines hold a comment
`# stub: <name> <version> <platform> <require paths>`, by which Ruby itself finds the gem without evaluating the
file; older and hand-written files only assign strings. Design: scanning.md, section 5.
"""

import re
from collections.abc import Iterator
from typing import ClassVar, Final

from entrepot.scanning.extractor import MemberReader, library, lines, value
from entrepot.scanning.model import Package

FOLDERS: Final = ("specifications", "specifications/default")
STUB: Final = re.compile(rb"# stub: (?P<name>\S+) (?P<version>\S+) (?P<platform>\S+) ")
# s.name = "rake".freeze; s.version = Gem::Version.new("13.0.6")
ASSIGNED: Final = re.compile(
    rb"\s*\w+\.(?P<field>name|version|platform)\s*=\s*(?:Gem::Version\.new\s*\(\s*)?"
    rb"(?:\"(?P<double>[^\"\\#]*)\"|'(?P<single>[^'\\]*)')(?:\.freeze)?\s*\)?\s*(?:\Z|[;#])"
)
STUB_LINES: Final = 3
ANY_PLATFORM: Final = "ruby"


class RubyExtractor:
    """Reads `specifications/*.gemspec` and `specifications/default/*.gemspec`, wherever gems are installed."""

    name: ClassVar[str] = "ruby"
    databases: ClassVar[frozenset[str]] = frozenset()
    folders: ClassVar[frozenset[str]] = frozenset()

    def wants(self, path: str) -> bool:
        """Whether *path* is an installed gem's specification; those within the gem itself must be evaluated."""
        folder, _, name = path.rpartition("/")
        return name.endswith(".gemspec") and any(folder == end or folder.endswith(f"/{end}") for end in FOLDERS)

    def extract(self, path: str, reader: MemberReader) -> Iterator[Package]:
        """The one gem; arch is its platform, empty for any.

        Raises MetadataInvalidError if neither the stub nor plain strings name it and its version.
        """
        fields: dict[bytes, bytes] = {}
        for number, line in enumerate(lines(reader)):
            if number < STUB_LINES and (stub := STUB.match(line)):
                fields = {key.encode(): content for key, content in stub.groupdict().items()}
                break
            if assigned := ASSIGNED.match(line):
                fields.setdefault(assigned["field"], assigned["double"] or assigned["single"] or b"")
        platform = value(fields.get(b"platform", b""))
        arch = "" if platform == ANY_PLATFORM else platform
        yield library("rubygems", fields.get(b"name", b""), fields.get(b"version", b""), path, arch=arch)
