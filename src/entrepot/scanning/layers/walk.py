"""The walk over a layer's tar stream: headers in order, each member's bytes at most once, nothing ever written.

Invariant: memory is bounded by the limits alone, and whatever the bytes are, the walk ends with members and
problems, not with an exception. It holds because no field is read before its size was compared with a limit,
payloads pass through in pieces, and CutError is caught in `members`. Example: a layer truncated in its third
member gives two members, the third up to the cut, and `corrupt:<offset>`. Tests: property/test_walk.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from entrepot.scanning.extractor import Spool
from entrepot.scanning.layers.limits import CutError, LayerLimits
from entrepot.scanning.layers.paths import PathRefusedError, clean
from entrepot.scanning.layers.problems import LONGEST_TEXT, ProblemLog
from entrepot.scanning.layers.tar_header import (
    BLOCK,
    HEADER_ONLY,
    ZERO_BLOCK,
    Header,
    parse_header,
    parse_pax,
    pax_size,
    text,
)

KINDS: Final = {
    "\0": "file",
    "0": "file",
    "7": "file",
    "S": "file",
    "1": "hardlink",
    "2": "symlink",
    "5": "directory",
}
SPARSE_VERSIONS: Final = frozenset(((b"0", b"0"), (b"0", b"1"), (b"1", b"0")))
SPARSE_MAP_KEYS: Final = frozenset((b"GNU.sparse.map", b"GNU.sparse.offset"))
# What a global header may not change unseen: runtimes ignore it there, other readers do not.
GLOBAL_KEYS: Final = frozenset((b"path", b"linkpath", b"size", b"GNU.sparse.name"))


@dataclass(frozen=True, slots=True)
class Member:
    """One member: path cleaned, `` for the root; kind: `file`, `hardlink`, `symlink`, `directory` or `other`.

    size: bytes of its payload in the stream. target: what a link says, as written (decoded as paths are).
    is_sparse: the payload is a map and fragments, not the file's bytes. is_executable: by its mode.
    """

    path: str
    kind: str
    size: int
    target: str = ""
    is_sparse: bool = False
    is_executable: bool = False


class Payload:
    """A member's bytes, readable until the walk goes on. spool: where they may be put aside, None: nowhere."""

    spool: Spool | None = None

    def __init__(self, stream: "TarStream", size: int) -> None:
        self._stream = stream
        self.left = size

    def read(self, size: int) -> bytes:
        """The next bytes: at least one and at most *size* (> 0), or none at the end. Raises CutError."""
        piece = self._stream.some(min(size, self.left)) if self.left else b""
        self.left -= len(piece)
        return piece


class TarStream:
    """Pieces of bytes, read in the portions a tar reader needs. offset: bytes taken so far."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = b""
        self._position = 0
        self.offset = 0

    def some(self, size: int) -> bytes:
        """At least one and at most *size* bytes. Raises CutError (`corrupt`) at the end of the stream."""
        if self._position >= len(self._piece):
            self._piece, self._position = next(self._pieces, b""), 0
            if not self._piece:
                raise CutError("corrupt", "truncated")
        piece = self._piece[self._position : self._position + size]
        self._position += len(piece)
        self.offset += len(piece)
        return piece

    def exactly(self, size: int) -> bytes:
        """*size* bytes, which the caller compared with a limit. Raises CutError (`corrupt`) if there are fewer."""
        read = self.some(size)
        while len(read) < size:
            read += self.some(size - len(read))
        return read

    def skip(self, size: int) -> None:
        """Passes over *size* bytes. Raises CutError (`corrupt`) if there are fewer."""
        while size:
            step = min(size, len(self._piece) - self._position)
            if step:
                self._position += step
                self.offset += step
                size -= step
            else:
                size -= len(self.some(size))

    def drain(self) -> bool:
        """Reads to the end of the stream; whether any byte was not zero."""
        is_zero = not self._piece[self._position :].strip(b"\0")
        for piece in self._pieces:
            is_zero = is_zero and not piece.strip(b"\0")
        return not is_zero


class Walk:
    """One pass over a tar stream. count: members met. is_ended: the stream was read to its last byte."""

    def __init__(self, pieces: Iterator[bytes], limits: LayerLimits, problems: ProblemLog) -> None:
        self._stream = TarStream(pieces)
        self._limits = limits
        self._problems = problems
        self._headers = 0
        self.count = 0
        self.is_ended = False

    def members(self) -> Iterator[tuple[Member, Payload]]:
        """The members in order, each with its payload; what of it is not read is skipped."""
        try:
            yield from self._members()
            if self._stream.drain():
                self._problems.add("trailing_data", cut=False)
            self.is_ended = True
        except CutError as error:
            self.cut(error)

    def cut(self, error: CutError) -> None:
        """Notes why the walk ended early; a caller does so with what reading a payload raised."""
        code = f"corrupt:{self._stream.offset}" if error.code == "corrupt" else error.code
        self._problems.add(code, detail=error.detail)

    def _members(self) -> Iterator[tuple[Member, Payload]]:
        extension = _Extension()
        while (header := self._next_header()) is not None:
            self._headers += 1
            if self._headers > self._limits.members:
                raise CutError("limit:members", f"more than {self._limits.members} headers")
            if header.type in "xgLK":
                self._extend(extension, header)
                continue
            member, size = self._member(header, extension)
            extension.clear()
            payload = Payload(self._stream, size)
            if member is not None:
                self.count += 1
                yield member, payload
            self._stream.skip(payload.left + -size % BLOCK)

    def _next_header(self) -> Header | None:
        """The next header; None at the end blocks."""
        block = self._stream.exactly(BLOCK)
        if block != ZERO_BLOCK:
            return parse_header(block)
        try:
            second = self._stream.exactly(BLOCK)
        except CutError as error:
            # Some writers end with one block; a cut for another reason, or in a block, is a cut.
            if error.code == "corrupt" and error.detail == "truncated" and self._stream.offset % BLOCK == 0:
                return None
            raise
        if second != ZERO_BLOCK:
            raise CutError("corrupt", "a header after one zero block")
        return None

    def _extend(self, extension: "_Extension", header: Header) -> None:
        """Takes a header that only changes the next one: PAX (x), global PAX (g), GNU long name (L) and link (K)."""
        if header.size > self._limits.pax_bytes:
            self._stream.skip(header.size + -header.size % BLOCK)
            extension.refused = "limit:pax" if header.type in "xg" else "limit:path"
            if header.type == "g":
                self._problems.add("limit:pax", detail="global")
                extension.clear()
            return
        data = self._stream.exactly(header.size) if header.size else b""
        self._stream.skip(-header.size % BLOCK)
        match header.type:
            case "L":
                extension.name = text(data)
            case "K":
                extension.target = text(data)
            case "x":
                extension.records, is_over = parse_pax(data, self._limits.pax_record_bytes)
                extension.refused = "limit:pax" if is_over else extension.refused
            case _:
                records, _ = parse_pax(data, self._limits.pax_record_bytes)
                if GLOBAL_KEYS & records.keys():
                    self._problems.add("pax_global", detail="changes names or sizes of all that follows")
                extension.clear()

    def _member(self, header: Header, extension: "_Extension") -> tuple[Member | None, int]:
        """The member that *header* and what came before it describe, None if refused; and its payload's size."""
        size = pax_size(extension.records)
        size = header.size if size is None else size
        is_sparse = header.type == "S" or extension.is_sparse
        name = extension.full_name(header)
        kind = KINDS.get(header.type, "other")
        if header.type == "\0" and name.endswith(b"/"):
            kind = "directory"
        if header.type in HEADER_ONLY or kind == "directory":
            size = 0
        if header.is_extended:
            while self._stream.exactly(BLOCK)[504]:
                pass
        target = extension.target or extension.records.get(b"linkpath") or header.linkname
        try:
            path = clean(name, self._limits.path_bytes, self._limits.depth)
            refused = extension.refused
        except PathRefusedError as error:
            path, refused = "", error.code
        if not refused and len(target) > self._limits.path_bytes:
            refused = "limit:path"
        if refused:
            self._problems.add(refused, name[:LONGEST_TEXT].decode("utf-8", "backslashreplace"))
            return None, size
        shown = target.decode("utf-8", "backslashreplace")
        return Member(path, kind, size, shown, is_sparse, header.is_executable), size


class _Extension:
    """What the extension headers before a member say about it. refused: a problem code, if it can't be used."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.name = b""
        self.target = b""
        self.records: dict[bytes, bytes] = {}
        self.refused = ""

    @property
    def is_sparse(self) -> bool:
        if not self.records:
            return False
        version = self.records.get(b"GNU.sparse.major", b""), self.records.get(b"GNU.sparse.minor", b"")
        if version == (b"", b""):
            return bool(SPARSE_MAP_KEYS & self.records.keys())
        return version in SPARSE_VERSIONS

    def full_name(self, header: Header) -> bytes:
        if not self.records:
            return self.name or header.name
        sparse_name = self.records.get(b"GNU.sparse.name") if self.is_sparse else b""
        return self.name or sparse_name or self.records.get(b"path") or header.name
