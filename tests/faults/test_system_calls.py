"""System calls that fail, come short, take long, or are the last: after each, the folder keeps every promise.

`strace` injects one fault into the nth call of a kind, in each thread of a small program that pushes and pulls through
the real parts (`program.py`). A case counts only if its fault came to pass. `ENTREPOT_TEST_SYSTEM_CALLS` says how many
cases; they are drawn by a seed from all there are.
"""

import asyncio
import os
import random
import secrets
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import pytest

from entrepot.oci.digest import Digest
from tests.faults.client import Client, Direct
from tests.faults.program import Order, Told, content
from tests.faults.site import open_site, start
from tests.faults.world import Said, World, broken_promises
from tests.real.programs import require_program

CASES: Final = int(os.environ.get("ENTREPOT_TEST_SYSTEM_CALLS", "75"))
CASES_PER_FOLDER: Final = 25
ROOT: Final = Path(__file__).parents[2]
ATTACH_SECONDS: Final = 20.0
END_SECONDS: Final = 60.0

CALLS: Final = {
    "openat": "openat",
    "write": "write,pwrite64",
    "fsync": "fsync,fdatasync",
    "rename": "rename,renameat,renameat2",
    "link": "link,linkat",
    "unlink": "unlink,unlinkat",
    "ftruncate": "ftruncate",
    "mkdir": "mkdir,mkdirat",
}
"""Kinds of calls, and the calls of that kind that a program may make."""

FAULTS: Final = {
    "EIO": "error=EIO",
    "ENOSPC": "error=ENOSPC",
    "EDQUOT": "error=EDQUOT",
    "delay": "delay_enter=20000",
    "kill": "signal=KILL",
}
SHORT: Final = "short"
"""strace can't shorten a write (with `retval` it lies: nothing is written); the program does it, by `os.write`."""
pytestmark = pytest.mark.timeout(300 + 4 * CASES)


@dataclass(frozen=True, slots=True)
class Case:
    """The fault that meets the nth call of a kind."""

    call: str
    fault: str
    nth: int


@dataclass(slots=True)
class Program:
    """The loaded program, and the folder its children work in."""

    process: subprocess.Popen[str]
    memory: Path
    number: int = 0

    def folder(self) -> Path:
        """The folder of the current children: another every few cases, so that none grows large."""
        path = self.memory / f"data-{self.number // CASES_PER_FOLDER}"
        if not path.exists():
            shutil.rmtree(self.memory / f"data-{self.number // CASES_PER_FOLDER - 1}", ignore_errors=True)
            shutil.copytree(self.memory / "base", path)
        return path

    def run(self, options: list[str], short: int = 0) -> tuple[list[tuple[str, Any]], str]:
        """What a child was told, and strace's account of it."""
        self.number += 1
        told = Told.make(self.memory / "told")
        account, gate = self.memory / "strace", self.memory / "gate"
        account.unlink(missing_ok=True)
        gate.unlink(missing_ok=True)
        os.mkfifo(gate)
        opened = os.open(gate, os.O_RDWR)
        try:
            order = Order(str(self.folder()), str(self.memory / "told"), str(gate), self.number, short)
            child = self._fork(order, told)
            command = [require_program("strace"), "-f", "-o", str(account), *options, "-p", str(child)]
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
                assert tracer.stderr is not None
                try:
                    wait_for_line(tracer.stderr, "attached")
                    os.write(opened, b"x")
                    tracer.communicate(timeout=END_SECONDS)
                finally:
                    tracer.kill()
        finally:
            os.close(opened)
        return told.notes(), account.read_text() if account.exists() else ""

    def _fork(self, order: Order, told: Told) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(order.line())
        self.process.stdin.flush()
        child = int(self.process.stdout.readline())
        deadline = time.monotonic() + ATTACH_SECONDS
        while not told.notes():
            assert time.monotonic() < deadline, "the child did not come to its gate"
            time.sleep(0.001)
        return child


@dataclass(slots=True)
class Outcome:
    """What a case showed. fired: whether its fault came to pass."""

    fired: bool
    findings: list[str]


@pytest.fixture(scope="module")
def program(memory: Path) -> Iterator[Program]:
    folder = memory / "calls"
    folder.mkdir()
    start(folder / "base")

    async def fill() -> None:
        async with open_site(folder / "base") as site:
            await site.create_project()

    asyncio.run(fill())
    command = [sys.executable, "-m", "tests.faults.program"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loaded\n"
        try:
            yield Program(process, folder)
        finally:
            process.kill()


def possible_cases(program: Program) -> list[Case]:
    """Every call that some thread makes without a fault, with every fault that can meet it."""
    notes, account = program.run(["-e", f"trace={','.join(CALLS.values())}"])
    assert [kind for kind, _ in notes][-1] == "done"
    made = Counter(tuple(line.split("(")[0].split()) for line in account.splitlines() if "(" in line)
    cases = []
    for call, names in CALLS.items():
        counts: Counter[str] = Counter()
        for (thread, name), count in made.items():
            if name in names.split(","):
                counts[thread] += count
        cases += [Case(call, fault, nth) for fault in FAULTS for nth in range(1, max(counts.values(), default=0) + 1)]
    writes = sum(count for (_, name), count in made.items() if name == "write")
    return cases + [Case("write", SHORT, nth) for nth in range(1, writes + 1)]


def in_turns(cases: list[Case], chance: random.Random) -> list[Case]:
    """*cases* in an order by chance in which each kind of fault in each kind of call has its turn."""
    chance.shuffle(cases)
    turn: Counter[tuple[str, str]] = Counter()
    turns = []
    for case in cases:
        turn[case.call, case.fault] += 1
        turns.append((turn[case.call, case.fault], case))
    return [case for _, case in sorted(turns, key=lambda each: each[0])]


def try_case(program: Program, case: Case) -> Outcome:
    names = CALLS[case.call]
    options = ["-e", f"trace={names}"]
    short = case.nth if case.fault == SHORT else 0
    if not short:
        options += ["-e", f"inject={names}:{FAULTS[case.fault]}:when={case.nth}"]
    notes, account = program.run(options, short)
    fired = "(INJECTED)" in account or "(DELAYED)" in account or "+++ killed by SIGKILL" in account
    fired = fired or any(kind == "short" for kind, _ in notes)
    world = World()
    for kind, value in notes:
        if kind == "said":
            key, allowed = value
            world.hear(Said(tuple(key), frozenset(allowed)))
    _, *parts = content(program.number)
    world.content = {str(Digest.of(data)): data for data in parts}
    findings = [f"the server would answer 500: {value}" for kind, value in notes if kind == "broke"]
    killed = case.fault == "kill"
    if fired and not killed and notes[-1][0] != "done":
        findings.append(f"P5: the same server refuses the retry: {notes[-1]}")
    findings += asyncio.run(after(program.folder(), world, program.number))
    return Outcome(fired, findings)


async def after(folder: Path, world: World, number: int) -> list[str]:
    """What the next process on *folder* does not keep, or refuses to a client that tries again."""
    async with open_site(folder) as site:
        await site.ingest()
        found = await broken_promises(site, world, power=False)
        repo, one, two, config, image = content(number)
        client = Client(Direct(site), World())
        try:
            for data in (one, two, config):
                await client.push_blob(repo, data)
            await client.push_manifest(repo, image, "v1")
        except Exception as error:  # noqa: BLE001  whatever it is, it is a finding
            found.append(f"P5: the retry failed: {error!r}")
        return found + await broken_promises(site, client.world, power=False)


def wait_for_line(stream: IO[str], text: str) -> None:
    """Reads *stream* up to the line with *text*."""
    for line in stream:
        if text in line:
            return
    raise AssertionError(f"the tracer ended without {text}")


def test_after_any_fault_in_a_system_call_every_promise_holds_and_the_retry_succeeds(program: Program) -> None:
    seed = int(os.environ.get("ENTREPOT_TEST_SEED") or secrets.randbits(32))
    chance = random.Random(seed)  # noqa: S311
    cases = in_turns(possible_cases(program), chance)
    began, fired, faults = time.monotonic(), Counter[str](), []
    for case in cases:
        if fired.total() >= CASES:
            break
        outcome = try_case(program, case)
        fired[f"{case.call} {case.fault}"] += outcome.fired
        faults += [f"{case}: {line}" for line in outcome.findings]
    print(
        f"\n{fired.total()} system calls failed, of {len(cases)} cases there are, in {time.monotonic() - began:.0f} s, "
        f"seed {seed}: {dict(sorted(fired.items()))}"
    )
    assert not faults, "\n".join(faults[:40])
    assert fired.total() >= min(CASES, len(cases) * 3 // 4)
