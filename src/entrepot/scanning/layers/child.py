"""The process that reads layers: `python -m entrepot.scanning.layers.child PARENT`, and a child of its own for each.

It imports once what reading needs, touches no layer itself, and waits on descriptor 0, a Unix socket, for messages: a
`Request` with the layer's descriptor and a channel. For each it forks: the child takes the two as its descriptors 0
and 1, and says over the channel that it is there: one byte, with a descriptor of itself (pidfd) by which it can be
killed and by nothing else. Told to go on, so that nobody reads whom nobody could end, it gives up every right it will
not need, reads, writes one msgpack LayerFacts to the channel, and ends. An answer cut short is no msgpack, so nobody
asks for its status. Design: scanning.md, section 3.1.
"""

import contextlib
import gc
import os
import signal
import socket
import sys
import tempfile
from types import FrameType
from typing import Final, NoReturn

import msgspec

from entrepot.oci.digest import Digest
from entrepot.scanning.extractor import Spool
from entrepot.scanning.layers.analyse_stream import analyse_stream
from entrepot.scanning.layers.limits import LayerLimits
from entrepot.scanning.layers.sandbox import confine, end_with
from entrepot.scanning.model import LayerFacts

REQUEST_BYTES: Final = 8 << 10
READY: Final = b"."
GO: Final = b"!"
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
    """Serves the process *parent* until it closes its end of the socket; the exit status."""
    end_with(parent)
    # Waited for, and not ignored: what children used is in our account then, for who measures the server.
    signal.signal(signal.SIGCHLD, _reap)
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Request)
    encoder.encode(LayerFacts("", "", "", 0, 0, 0, complete=False))  # imports what it needs while it can
    with contextlib.suppress(OSError):
        tempfile.gettempdir()  # looked for once, not by each child
    channel = socket.socket(fileno=os.dup(STDIN))
    own = os.getpid()
    gc.collect()
    gc.freeze()  # a child that collects garbage would copy every page it looks at
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, REQUEST_BYTES, 2)
        if not message:
            return 0
        try:
            if os.fork() == 0:
                channel.close()
                _serve(own, decoder.decode(message), descriptors, encoder)
        except BlockingIOError:  # no process to be had: the channel closes without a word
            pass
        for descriptor in descriptors:
            os.close(descriptor)


def _reap(_number: int, _frame: FrameType | None) -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _serve(parent: int, request: Request, descriptors: list[int], encoder: msgspec.msgpack.Encoder) -> NoReturn:
    """Reads one layer, in a process forked from *parent*."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        end_with(parent)
        layer, answers = descriptors
        os.dup2(layer, STDIN)
        os.dup2(answers, STDOUT)
        own = os.pidfd_open(os.getpid())
        with socket.socket(fileno=answers) as channel:
            socket.send_fds(channel, [READY], [own])
            if not channel.recv(len(GO)):
                os._exit(0)  # whoever asked has left
        os.close(own)
        os.close(layer)
        spool = _spool()
        if not confine():
            sys.stderr.write("entrepot: layers are read without a system call filter on this platform\n")
        facts = analyse_stream(_Layer(), Digest.parse(request.digest), request.size, request.limits, spool=spool)
        _write(encoder.encode(facts))
        status = 0
    except BaseException as error:  # noqa: BLE001  # nothing of this may run on in the process that forks
        sys.stderr.write(f"entrepot: a layer was not read: {type(error).__name__}\n")
    finally:
        os._exit(status)


def _spool() -> Spool | None:
    """A file without a name to put large members aside; None if no folder takes it: they are then not read."""
    try:
        return tempfile.TemporaryFile(buffering=0)
    except OSError:
        return None


def _write(answer: bytes) -> None:
    rest = memoryview(answer)
    while rest:
        rest = rest[os.write(STDOUT, rest) :]


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
