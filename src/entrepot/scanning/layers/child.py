"""The process that reads one layer: `python -m entrepot.scanning.layers.child PARENT`.

It starts before there is anything to do, gives up every right it will not need, and waits on descriptor 0, a Unix
socket, for one message: a `Request` with the layer's descriptor, which takes the socket's place. It writes one
msgpack LayerFacts to descriptor 1 and ends. Status 0: the answer is whole. Design: scanning.md, section 3.1.
"""

import os
import socket
import sys
from typing import Final

import msgspec

from entrepot.oci.digest import Digest
from entrepot.scanning.layers.analyse_stream import analyse_stream
from entrepot.scanning.layers.limits import LayerLimits
from entrepot.scanning.layers.sandbox import confine, end_with
from entrepot.scanning.model import LayerFacts

REQUEST_BYTES: Final = 8 << 10
STDIN: Final = 0
STDOUT: Final = 1


class Request(msgspec.Struct, frozen=True):
    """What to analyse: the descriptor that comes with it gives *size* bytes whose digest is *digest*."""

    digest: str
    size: int
    limits: LayerLimits


class _Layer:
    """The layer on descriptor 0."""

    def read(self, size: int) -> bytes:
        """Up to *size* bytes; none at the end."""
        return os.read(STDIN, size)


def main(parent: int) -> int:
    """Serves one request for the process *parent*; the exit status."""
    end_with(parent)
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Request)
    encoder.encode(LayerFacts("", "", "", 0, 0, 0, complete=False))  # imports what it needs while it can
    channel = socket.socket(fileno=STDIN)
    is_filtered = confine()
    message, descriptors, _, _ = socket.recv_fds(channel, REQUEST_BYTES, 1)
    if not message or len(descriptors) != 1:
        return 0  # no work, and none to come
    if not is_filtered:
        sys.stderr.write("entrepot: layers are read without a system call filter on this platform\n")
    os.dup2(descriptors[0], channel.detach())
    os.close(descriptors[0])
    request = decoder.decode(message)
    facts = analyse_stream(_Layer(), Digest.parse(request.digest), request.size, request.limits)
    _write(encoder.encode(facts))
    return 0


def _write(answer: bytes) -> None:
    rest = memoryview(answer)
    while rest:
        rest = rest[os.write(STDOUT, rest) :]


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
