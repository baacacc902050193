"""Python versions as bytes in the order of the version specifiers specification (PEP 440), as `packaging` reads it."""

from typing import Final

from packaging.version import InvalidVersion, Version

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.parts import checked_key, checked_text, number

_DEV_ONLY: Final = b"\x01"
_PRE: Final = {"a": b"\x02", "b": b"\x03", "rc": b"\x04"}
_FINAL: Final = b"\x08"
_ABSENT_LOW: Final = b"\x00"
_PRESENT: Final = b"\x01"
_ABSENT_HIGH: Final = b"\xff"
_END: Final = b"\x01"
_TEXT: Final = b"\x02"
_NUMBER: Final = b"\x03"


def key(text: str) -> bytes:
    """The key of the Python version *text*; `memcmp` of keys is the order of `packaging.version.Version`.

    Raises VersionMalformedError for what is no PEP 440 version.
    """
    try:
        version = Version(checked_text(text))
    except InvalidVersion:
        raise VersionMalformedError("not a PEP 440 version") from None
    key = bytearray(_number(version.epoch))
    release = version.release
    while len(release) > 1 and release[-1] == 0:
        release = release[:-1]
    for part in release:
        key += _NUMBER + _number(part)
    key += _END
    if version.pre is not None:
        key += _PRE[version.pre[0]] + _number(version.pre[1])
    else:
        # 1.dev1 comes before 1a1, but 1.post1.dev1 after 1.
        key += _DEV_ONLY if version.post is None and version.dev is not None else _FINAL
    key += _ABSENT_LOW if version.post is None else _PRESENT + _number(version.post)
    key += _ABSENT_HIGH if version.dev is None else _PRESENT + _number(version.dev)
    return checked_key(bytes(key + _local(version.local)))


def _number(value: int) -> bytes:
    return number(str(value))


def _local(local: str | None) -> bytes:
    if local is None:
        return _ABSENT_LOW
    key = bytearray(_PRESENT)
    for part in local.split("."):
        # Checked for ASCII by `packaging`; numbers rank above texts.
        key += _NUMBER + number(part) if part.isdigit() else _TEXT + part.encode() + b"\x00"
    return bytes(key + _END)
