"""Pulls and sign-ins go to a file first: one appended line each, before the answer goes out.

Invariant: what was answered is in the log or in a spool file. A write() that returned survives kill -9 of the
process. The process holds a lock on its file while it may still write; the worker takes over every file that nobody
locks, and rows carry their ids, so taking one over twice adds nothing. Example: pulls of a killed web process stand
in `<ulid>.jsonl`; its lock died with it; within a second the worker has moved them.
Broken, `tests/integration/test_audit_spool.py` fails.
"""

import fcntl
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from entrepot.clock import Clock
from entrepot.content import vfs
from entrepot.content.errors import StorageUnavailableError
from entrepot.ids import ulid
from entrepot.runtime.events.model import Actor

SUFFIX: Final = ".jsonl"
DAMAGED: Final = ".damaged"
"""What a file is called that the disk has hurt: its good lines are in the log, and it is kept for people to look at."""


class SpoolLine(msgspec.Struct):
    """A line of a spool file.

    at: Unix seconds; by: name, kind, credential, address, agent and request; what: repository, reference, digest.
    """

    id: str
    at: float
    by: tuple[str, str, str, str, str, str]
    action: str
    what: tuple[str, str, str]
    reason: str


@dataclass(slots=True)
class Spool:
    """The open spool file of one process in *folder*. Not for use from several threads."""

    folder: Path
    clock: Clock
    _descriptor: int = -1
    _lines: int = 0
    _encoder: msgspec.json.Encoder = field(default_factory=msgspec.json.Encoder)

    def pulled(self, by: Actor, action: str, repository: str, reference: str, digest: str, warning: str) -> None:
        """A pull: see `registry/ports.py:PullLog`."""
        self._append(by, action, repository, reference, digest, warning)

    def signed_in(self, by: Actor, surface: str) -> None:
        """A sign-in: see `access/ports.py:SignInLog`."""
        self._append(by, "account.signed_in", "", "", "", surface)

    def rotate(self) -> None:
        """Closes the file if it holds anything, so that the worker may take it over; the next line opens another."""
        if self._lines:
            self._close()

    def _append(self, by: Actor, action: str, repository: str, reference: str, digest: str, reason: str) -> None:
        line = SpoolLine(
            ulid(),
            self.clock.now().timestamp(),
            (by.name, by.kind, by.credential, by.source_ip, by.user_agent[:512], by.request_id),
            action,
            (repository, reference, digest),
            reason,
        )
        data = self._encoder.encode(line) + b"\n"
        try:
            if self._descriptor < 0:
                self._open()
            vfs.write_all(self._descriptor, data)
        except OSError as error:
            # Half a line may stand at the end now: whatever comes next goes to another file.
            self._close()
            raise StorageUnavailableError("the audit log can't be written, so nothing is served") from error
        self._lines += 1

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._lines = -1, 0

    def _open(self) -> None:
        self.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        # Made under a name the worker does not look at, locked, then renamed: it is never seen unlocked.
        path = self.folder / f"{ulid()}.new"
        self._descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o640)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        path.rename(path.with_suffix(SUFFIX))
