"""What only one server may hold: its data folder and its port."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from entrepot.errors import ConflictError

ORPHANS_GONE_SECONDS: Final = 5.0
"""How long the children of a killed server may still hold its folder."""

POLL_SECONDS: Final = 0.05


class FolderInUseError(ConflictError):
    """Another server lives on the data folder. *pid*: its process, 0 where only children of a dead one are left."""

    def __init__(self, folder: Path, pid: int) -> None:
        who = f"process {pid}" if pid else "what is left of a killed server"
        super().__init__(f"the data folder {folder} is in use by {who}; stop it, or name another folder with --data")
        self.pid = pid


class AddressInUseError(ConflictError):
    """The address cannot be listened on, as *reason* says."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(
            f"cannot listen on {address}: {reason.lower()}; choose another with --listen or the setting server.listen"
        )


@contextmanager
def lock_folder(folder: Path) -> Iterator[int]:
    """While inside, *folder* is this process's; gives a descriptor for its children to inherit.

    There are two locks. That on `lock` is the parent's alone: who finds it taken is refused at once. That on
    `lock.children` lasts until the last process that inherited it is gone, so after a kill -9 of the parent nobody
    starts on the folder while a child still writes; that wait takes at most ORPHANS_GONE_SECONDS.
    Raises FolderInUseError.
    """
    with (folder / "lock").open("a+") as own, (folder / "lock.children").open("a") as inherited:
        if not _locked(own):
            own.seek(0)
            raise FolderInUseError(folder, int(own.read() or 0))
        own.truncate(0)
        own.write(f"{os.getpid()}\n")
        own.flush()
        deadline = time.monotonic() + ORPHANS_GONE_SECONDS
        while not _locked(inherited):
            if time.monotonic() > deadline:
                raise FolderInUseError(folder, 0)
            time.sleep(POLL_SECONDS)
        yield inherited.fileno()


def _locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def reserve_port(host: str, port: int) -> socket.socket:
    """A socket that is bound to the address and does not listen: nobody else can take it while this is open.

    granian binds with SO_REUSEPORT, so two servers would share a port without an error; a bind without that
    option shows whether anybody is there. port 0: a free one, see `getsockname`. Raises AddressInUseError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise AddressInUseError(address, error.strerror or "refused") from None
    held = socket.socket(family)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        # Without SO_REUSEADDR, so that the probe of a second server fails also before the first one listens.
        held.bind((host, port))
    except OSError:
        # Left-overs of closed connections of another program do not count.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((host, port))
        except OSError as error:
            held.close()
            raise AddressInUseError(address, error.strerror or "refused") from None
    return held
