"""How long every list call and every page takes: on a site of 1,000 tags, and on one of 2,000 repositories and 100,000.

    python -m benchmarks.web --rounds 40

Both sites run at once and are asked in turn, so that what else the machine does slows down both. Prints a table and,
with `--json`, writes every figure; ends with 1 if a limit is broken. Limits: p95 under 300 ms on the large site, and at
most 1.5 times the p95 on the small one, where that says something: from 20 ms on, of answers that are about equally
long, and not of calls that read all they look through. Design: product.md, section 6.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.registry.facts import facts
from benchmarks.web.addresses import LARGE, PROJECT, Places, calls, pages, reading
from benchmarks.web.report import LIMITS, Row, Taken, failures, table
from benchmarks.web.seed import seed
from tests.real.postgres import cluster
from tests.real.server import Server, new_server, running
from tests.real.visitor import Visitor

SITES: Final = {"1,000 tags": (100, 1_000), "100,000 tags": (2_000, 100_000)}
SMALL, BIG = SITES
POSTGRESQL: Final = "postgresql"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--database", choices=("sqlite", POSTGRESQL), default="sqlite")
    parser.add_argument("--only", default="", help="a part of the names of what is measured")
    parser.add_argument("--folder", type=Path, default=None, help="for the sites; a temporary one without it")
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        if given.folder is not None:
            given.folder.mkdir(parents=True, exist_ok=True)
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ran_on = facts(folder) | {"database": given.database, "rounds": str(given.rounds)}
        sites = {name: stack.enter_context(site(folder, name, given.database)) for name in SITES}
        rows = measure(sites, given.rounds, given.only)
    for fact, value in ran_on.items():
        print(f"- {fact}: {value}")
    print(f"- limits: {LIMITS.format(small=SMALL, large=BIG)}\n\n{table(rows)}\n")
    broken = failures(rows)
    print("\n".join(broken) or "Every limit holds.")
    if given.json is not None:
        document = {"facts": ran_on, "rows": [row.plain() for row in rows], "broken": broken}
        given.json.write_text(json.dumps(document, indent=1))
    sys.exit(1 if broken else 0)


@contextlib.contextmanager
def site(folder: Path, name: str, database: str) -> Iterator["Asked"]:
    """A started server with a seeded site; one that is in *folder* already, in files, is taken as it is."""
    repositories, tags = SITES[name]
    with contextlib.ExitStack() as stack:
        environment, beside = dict[str, str](), 0
        if database == POSTGRESQL:
            started = stack.enter_context(cluster(durable=True))
            environment["ENTREPOT_DATABASE__URL"] = started.url
            beside = started.process.pid if started.process is not None else 0
        server = new_server(folder / str(tags), **environment)
        mark = server.data.with_name("seeded")
        if environment or not mark.exists():
            server.start()
            server.stop()
            url = environment.get("ENTREPOT_DATABASE__URL", f"sqlite:///{server.data / 'entrepot.db'}")
            counts = seed(url, repositories, tags, blobs=server.data / "blobs", now=datetime.now(UTC))
            mark.write_text(json.dumps(counts))
        print(f"- {name}: {mark.read_text()}", flush=True)
        server.flags = ("--role", "web")  # a worker would look for the bytes of all those blobs meanwhile
        stack.enter_context(running(server))
        yield Asked(server, beside)


class Asked:
    """A site that is asked by somebody who signed in. beside: the process whose children are the database; 0: none."""

    def __init__(self, server: Server, beside: int) -> None:
        self.server = server
        self.beside = Path(f"/proc/{beside}/task/{beside}/children") if beside else None
        self.visitor = Visitor(server).sign_in()
        tags = server.api("GET", f"/repositories/{LARGE}/-/tags?limit=200")["items"]
        digests = (tag["digest"] for tag in tags)
        digest = next(each for each in digests if server.artifact(LARGE, each, "/scan")["outcome"] == "block")
        promotions, jobs, operations = (
            server.api("GET", path)["items"][0]["id"]
            for path in (
                "/promotions?filter=state=waiting&limit=1",
                "/jobs?limit=1",
                f"/projects/{PROJECT}/operations?limit=1",
            )
        )
        places = Places(digest, promotions, jobs, operations)
        self.addresses: Mapping[str, str] = {**calls(places), **pages(places), **reading()}
        self.processes = list(server.processes())

    def ask(self, name: str, taken: Taken) -> None:
        """Adds to *taken* what the answer took."""
        address = self.addresses[name]
        spent, began = self._spent(), time.perf_counter()
        is_call = address.startswith("/api/")
        answer = self.server.request("GET", address) if is_call else self.visitor.get(address)
        taken.wall_ms.append((time.perf_counter() - began) * 1_000)
        taken.cpu_ms.append((self._spent() - spent) / 1e6)
        taken.length = len(answer.data)
        assert answer.status == 200, (address, answer.status, answer.data[:500])

    def _spent(self) -> int:
        """Nanoseconds of processor time that the processes of server and database used up."""
        total = 0
        database = self.beside.read_text().split() if self.beside is not None else []
        for pid in (*self.processes, *database):
            with contextlib.suppress(FileNotFoundError):
                for thread in Path(f"/proc/{pid}/task").iterdir():
                    total += int((thread / "schedstat").read_text().split()[0])
        return total


def measure(sites: Mapping[str, Asked], rounds: int, only: str) -> list[Row]:
    """What every address took on both sites."""
    small, big = sites.values()
    whole = reading()
    rows = [Row(name, Taken(), Taken(), name in whole) for name in big.addresses if only in name]
    for row in rows:
        for asked, taken in ((small, row.small), (big, row.large)):
            asked.ask(row.name, Taken())  # the first answer loads what the others share
            asked.ask(row.name, taken)
            taken.clear()
        for _ in range(rounds):
            small.ask(row.name, row.small)
            big.ask(row.name, row.large)
        print(row.line(), file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    main()
