"""On what it ran: figures without this are worth nothing."""

import os
import platform
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Final

SYNCS: Final = 30
PARTS: Final = ("granian", "uvloop", "sqlalchemy", "msgspec")


def facts(folder: Path) -> dict[str, str]:
    """Machine, file system of *folder*, and versions; one line each."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _first("/proc/cpuinfo", "model name"),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(_first('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.1f} GiB",
        "kernel": platform.release(),
        "file system": _file_system(folder),
        "fsync of 4 KiB": f"{_sync_ms(folder):.2f} ms (median of {SYNCS})",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        **{part: version(part) for part in PARTS},
        "commit": _commit(),
    }


def _first(path: str, key: str) -> str:
    lines = Path(path).read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "unknown")


def _file_system(folder: Path) -> str:
    """Type and options of the longest mount point above *folder*."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    above = [fields for fields in mounts if folder.resolve().is_relative_to(fields[1])]
    kind = max(above, key=lambda fields: len(fields[1]))
    return f"{kind[2]} ({kind[3]})"


def _sync_ms(folder: Path) -> float:
    path, taken = folder / "sync", []
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    for _ in range(SYNCS):
        os.write(descriptor, b"x" * 4096)
        started = time.perf_counter()
        os.fsync(descriptor)
        taken.append(time.perf_counter() - started)
    os.close(descriptor)
    path.unlink()
    return median(taken) * 1000


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
