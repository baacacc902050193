"""Runs the rows in interleaved rounds, and keeps what was seen."""

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.registry.load import Outcome
from benchmarks.registry.processes import machine_cpu, settle, swapped
from benchmarks.registry.servers import Server
from benchmarks.registry.workloads import Job, Row, Stock

ROUND_SECONDS: Final = 300
VOID_LIMIT: Final = 3
"""A row gives up after so many void rounds more than it has good ones to go."""


class VoidError(Exception):
    """A round that counts for nothing: somebody erred, or the machine swapped."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One server in one round.

    cpu, cpu_after: CPU seconds by role while the load ran, and from then until the server was at rest. peaks: the
    largest resident bytes by role. foreign: CPU seconds of whoever is neither server nor load.
    """

    value: float
    outcome: Outcome
    cpu: Mapping[str, float]
    cpu_after: Mapping[str, float]
    peaks: Mapping[str, int]
    idle: float
    foreign: float


@dataclass(slots=True)
class Result:
    """A row with its rounds by server; *void* tells what went wrong in those that do not count."""

    row: Row
    rounds: dict[str, list[Measured]] = field(default_factory=dict)
    void: list[str] = field(default_factory=list)
    without: dict[str, str] = field(default_factory=dict)


def run(rows: Sequence[Row], servers: Sequence[Server], stock: Stock, rounds: int) -> list[Result]:
    """Each row in *rounds* rounds that count, each server once per round, in an order that turns."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as load:
        return [_row(row, servers, stock, rounds, load) for row in rows]


def _row(row: Row, servers: Sequence[Server], stock: Stock, rounds: int, load: Executor) -> Result:
    result = Result(row)
    taking = []
    for server in servers:
        reason = "" if server.registry or row.files else "serves files only"
        result.without[server.name] = reason or row.without(stock, server)
        if not result.without[server.name]:
            taking.append(server)
    number = 0
    while number < rounds + len(result.void):
        turned = [*taking[number % len(taking) :], *taking[: number % len(taking)]]
        try:
            # What is to be sent is made and what is to be read is stored before anybody is measured.
            jobs = {server.name: row.make(stock, server, number) for server in turned}
            settle([server.group for server in servers])
            seen = {server.name: _measure(row, server, jobs[server.name], load) for server in turned}
        except Exception as failure:  # noqa: BLE001  whatever it is, it is told and the round is void
            result.void.append(f"{type(failure).__name__}: {failure}")
            print(f"  void: {result.void[-1][:300]}", file=sys.stderr)
            if len(result.void) > VOID_LIMIT:
                break
        else:
            for name, measured in seen.items():
                result.rounds.setdefault(name, []).append(measured)
            line = ", ".join(f"{name} {measured.value:,.1f}" for name, measured in seen.items())
            print(f"{row.key} {number + 1}: {line} {row.unit}", file=sys.stderr)
        number += 1
    return result


def _measure(row: Row, server: Server, job: Job, load: Executor) -> Measured:
    work, given = job
    if row.writes:
        os.sync()  # what others left to be written is not to be this server's burden
    before, pages, (busy, idle) = server.group.cpu(), swapped(), machine_cpu()
    with server.group:
        outcome: Outcome = load.submit(work, given).result(ROUND_SECONDS)
    during, (busy_now, idle_now) = server.group.cpu(), machine_cpu()
    if swapped() != pages:
        raise VoidError("the machine swapped")
    used = _difference(during, before)
    settle([server.group])
    return Measured(
        value=row.figure(outcome),
        outcome=outcome,
        cpu=used,
        cpu_after=_difference(server.group.cpu(), during),
        peaks=server.group.peaks(),
        idle=idle_now - idle,
        foreign=max(0.0, busy_now - busy - sum(used.values()) - outcome.client_cpu),
    )


def _difference(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {role: round(after[role] - before.get(role, 0.0), 3) for role in after}


def as_json(result: Result) -> dict[str, Any]:
    """All raw figures of a row."""
    return {
        "key": result.row.key,
        "title": result.row.title,
        "unit": result.row.unit,
        "more_is_better": result.row.more,
        "void": result.void,
        "without": {name: why for name, why in result.without.items() if why},
        "servers": {
            name: [
                {
                    "value": one.value,
                    "seconds": one.outcome.seconds,
                    "done": one.outcome.done,
                    "body_bytes": one.outcome.sent_or_received,
                    "latencies_ms": dict(one.outcome.latencies_ms),
                    "client_cpu_seconds": one.outcome.client_cpu,
                    "cpu_seconds": dict(one.cpu),
                    "cpu_seconds_after": dict(one.cpu_after),
                    "peak_bytes": dict(one.peaks),
                    "idle_seconds": one.idle,
                    "foreign_cpu_seconds": one.foreign,
                }
                for one in rounds
            ]
            for name, rounds in result.rounds.items()
        },
    }
