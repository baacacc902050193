"""How facts, advisories and findings are written: MessagePack, and zstd around what is kept as a file."""

from typing import Final

import msgspec
import zstandard

from entrepot.scanning.model import Advisory, Finding, ImageFacts, LayerFacts

LEVEL: Final = 3
_ADVISORY: Final = msgspec.msgpack.Decoder(Advisory)
_FINDING: Final = msgspec.msgpack.Decoder(Finding)


def pack(value: LayerFacts | ImageFacts) -> bytes:
    """*value* as a file of the blob store: MessagePack, compressed."""
    return zstandard.compress(msgspec.msgpack.encode(value), LEVEL)


def unpack_layer(data: bytes) -> LayerFacts:
    """The layer facts `pack` wrote."""
    return msgspec.msgpack.decode(zstandard.decompress(data), type=LayerFacts)


def unpack_image(data: bytes) -> ImageFacts:
    """The image facts `pack` wrote."""
    return msgspec.msgpack.decode(zstandard.decompress(data), type=ImageFacts)


def document(value: Advisory | Finding) -> bytes:
    """*value* as a row keeps it: MessagePack."""
    return msgspec.msgpack.encode(value)


def advisory_of(document: bytes) -> Advisory:
    """The advisory of a row."""
    return _ADVISORY.decode(document)


def finding_of(document: bytes) -> Finding:
    """The finding of a row."""
    return _FINDING.decode(document)
