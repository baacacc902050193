"""Small blobs in memory. Immutable bytes under their digest: they are right for ever, and say nothing of rights.

Whoever asks has read the row first: which repository has the blob, and that a good copy of it exists.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class ByteCache:
    """At most *limit* bytes together, of blobs of at most *most* bytes; the one not asked for longest goes first.

    asked: told of each question whether it was answered; sized: how many bytes there are now.
    """

    limit: int
    most: int
    asked: Callable[[bool], None] = lambda _: None
    sized: Callable[[int], None] = lambda _: None
    _blobs: OrderedDict[str, bytes] = field(default_factory=OrderedDict)
    _used: int = 0

    def takes(self, size: int) -> bool:
        """Whether a blob of *size* bytes may be kept here."""
        return size <= min(self.most, self.limit)

    def get(self, digest: str) -> bytes | None:
        """The blob *digest*, if it is here."""
        data = self._blobs.get(digest)
        self.asked(data is not None)
        if data is not None:
            self._blobs.move_to_end(digest)
        return data

    def put(self, digest: str, data: bytes) -> None:
        """Keeps *data*, seen to have the digest *digest*."""
        if digest in self._blobs or not self.takes(len(data)):
            return
        self._blobs[digest] = data
        self._used += len(data)
        while self._used > self.limit:
            _, dropped = self._blobs.popitem(last=False)
            self._used -= len(dropped)
        self.sized(self._used)
