"""The list `container-manifest-2`, which images without rpm's database carry: a line for each package.

Format: Azure Linux, toolkit/docs/how_it_works/5_misc.md, "RPM manifest file": what `rpm -qa` prints of ten tags
between tabs. The epoch stands there twice, and newer builders write `(none)` at the first place whatever it is.
"""

from collections.abc import Iterator
from typing import Final

from entrepot.scanning.ecosystems.rpm.header import ARCH, EPOCH, NAME, RELEASE, SOURCE_RPM, VENDOR, VERSION
from entrepot.scanning.extractor import MemberReader, MetadataInvalidError, lines, value

_COLUMNS: Final = 10
_ABSENT: Final = "(none)"


def entries(reader: MemberReader) -> Iterator[bytes]:
    """The lines that say something. Raises MetadataInvalidError if none does: such an image is made of packages."""
    is_empty = True
    for line in lines(reader):
        if line.strip():
            is_empty = False
            yield line
    if is_empty:
        raise MetadataInvalidError("a list of no packages")


def fields(line: bytes) -> dict[int, str]:
    """The tags of one line, as `header.fields` gives them. Raises MetadataInvalidError if it is no such line."""
    columns = line.split(b"\t")
    if len(columns) != _COLUMNS:
        raise MetadataInvalidError("a line of other than ten fields")
    name, full, _, _, vendor, _, _, arch, epoch, source = map(value, columns)
    version, _, release = full.rpartition("-")
    tags = {NAME: name, VERSION: version, RELEASE: release, VENDOR: vendor, ARCH: arch, SOURCE_RPM: source}
    if epoch != _ABSENT:
        if not (epoch.isascii() and epoch.isdecimal()):
            raise MetadataInvalidError("an epoch that is no number")
        tags[EPOCH] = epoch
    return {tag: text for tag, text in tags.items() if text != _ABSENT}
