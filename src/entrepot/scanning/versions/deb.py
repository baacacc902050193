"""Debian versions as bytes in dpkg's order (deb-version(7), "Sorting algorithm").

A key is the epoch (4 bytes), then upstream version and revision. Each of these two is a run of pairs, non-digits
and digits: the non-digits by rank, 0x02 for their end, the number; 0x02 ends the run. Since `~` ranks below 0x02
and all else above, `1~rc1` < `1` < `1a` < `1+b`. An absent revision equals `0`.
"""

import re
import string
from typing import Final

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.parts import checked_key, checked_text, number

_END: Final = b"\x02"
_RANKS: Final = {"~": 0x01} | {c: 0x10 + i for i, c in enumerate(string.ascii_uppercase + string.ascii_lowercase)}
# dpkg ranks what is no letter above all letters, in ASCII order.
_RANKS.update({c: 0x60 + i for i, c in enumerate("+-.:")})
_TABLE: Final = {ord(c): rank for c, rank in _RANKS.items()}
_VERSION: Final = re.compile(r"(?:([0-9]+):)?([0-9A-Za-z.+~:-]+?)(?:-([0-9A-Za-z.+~]+))?")
_PAIR: Final = re.compile(r"([^0-9]*)([0-9]*)")
_MAX_EPOCH: Final = 2**31 - 1


def key(text: str) -> bytes:
    """The key of the Debian version *text*; `memcmp` of keys is `dpkg --compare-versions`.

    Like dpkg's, it takes versions that begin with a letter. Raises VersionMalformedError.
    """
    match = _VERSION.fullmatch(checked_text(text))
    if match is None:
        raise VersionMalformedError("not a Debian version")
    epoch, upstream, revision = match.groups()
    # A colon belongs to the upstream version only behind an epoch, a hyphen only before a revision (`1-`, `-1`).
    if (epoch is None and ":" in upstream) or (revision is None and "-" in upstream):
        raise VersionMalformedError("not a Debian version")
    if epoch is not None and (len(epoch) > 10 or int(epoch) > _MAX_EPOCH):
        raise VersionMalformedError("a Debian version's epoch is too large")
    return checked_key(int(epoch or 0).to_bytes(4, "big") + _run(upstream) + _run(revision or "0"))


def _run(text: str) -> bytes:
    key = bytearray()
    for rest, digits in _PAIR.findall(text):
        if rest or digits:
            key += rest.translate(_TABLE).encode("latin-1") + _END + number(digits)
    return bytes(key + _END)
