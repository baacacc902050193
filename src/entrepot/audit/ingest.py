"""Moves spooled pulls and sign-ins into the log. Runs in the worker."""

import asyncio
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import structlog

from entrepot.audit import store
from entrepot.audit.spool import DAMAGED, SUFFIX, SpoolLine
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.unit_of_work import Work

BATCH: Final = 1_000
POLL_SECONDS: Final = 0.25
log = structlog.get_logger("audit")


DECODER: Final = msgspec.json.Decoder(SpoolLine)


@dataclass(frozen=True, slots=True)
class Ingest:
    """Takes over spool files of *folder* that no process holds any more."""

    work: Work
    folder: Path

    async def run(self, stop: asyncio.Event) -> None:
        """Goes on until *stop*; a file that fails is tried again."""
        while not stop.is_set():
            try:
                await self.once()
            except Exception:
                log.exception("audit.ingest_failed")
            await asyncio.sleep(POLL_SECONDS)
        await self.once()

    async def once(self) -> int:
        """Moves what can be moved; how many events."""
        moved = 0
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            else:
                rows, damaged = _rows(path.read_bytes())
                for start in range(0, len(rows), BATCH):
                    async with self.work(SYSTEM) as unit:
                        await store.add_spooled(unit, rows[start : start + BATCH])
                if damaged:
                    log.error("audit.spool_damaged", file=path.name, lines=damaged, kept=len(rows))
                    path.rename(path.with_suffix(DAMAGED))
                else:
                    path.unlink()
                moved += len(rows)
            finally:
                os.close(descriptor)
        return moved


def _rows(data: bytes) -> tuple[list[store.SpooledRow], int]:
    """The rows of a spool file, and how many of its lines can't be read.

    A last line without its end was never acknowledged and is left out.
    """
    rows: list[store.SpooledRow] = []
    damaged = 0
    for text in data.split(b"\n")[:-1]:
        try:
            line = DECODER.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            damaged += 1
            continue
        rows.append(store.row_of_pull(line.id, line.at, line.by, line.action, line.what, line.reason))
    return rows, damaged
