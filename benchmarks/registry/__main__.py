"""Compares Entrepot with other registries, and with plain files, on this machine: `python -m benchmarks.registry`.

Needs the Debian packages docker-registry and nginx-light; wrk, where it is there, asks for small answers.
"""

import argparse
import contextlib
import shlex
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.registry.content import Contents
from benchmarks.registry.facts import facts
from benchmarks.registry.report import Report
from benchmarks.registry.rounds import run
from benchmarks.registry.servers import MissingProgramError, docker_registry, entrepot, nginx, peer
from benchmarks.registry.workloads import FULL, QUICK, Row, Scale, Stock, rows


def main() -> int:
    """Runs the rows that were asked for; 1 if something that must hold does not, 2 if it can't run."""
    # Told to end, it ends its servers too.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(3))
    given = _arguments()
    scale = QUICK if given.quick else FULL
    known = {row.key: row for row in rows(scale)}
    if given.list:
        print("\n".join(f"{row.key:22} {row.title}" for row in known.values()))
        return 0
    wanted = given.only.split(",") if given.only else list(known)
    if unknown := [key for key in wanted if key not in known]:
        print(f"no such row: {', '.join(unknown)}; --list names them", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory(prefix="entrepot-bench-", dir=given.folder) as name:
            report = _run(given, Path(name), [known[key] for key in wanted], scale)
    except MissingProgramError as error:
        print(f"{error}; see .ci/run for the Debian packages", file=sys.stderr)
        return 2
    print(report.table())
    if given.json:
        report.write_json(given.json)
    if given.markdown:
        given.markdown.write_text(report.markdown())
    failed = [check for check in report.checks() if not check.holds]
    return 1 if given.check and failed else 0


def _run(given: argparse.Namespace, folder: Path, chosen: Sequence[Row], scale: Scale) -> Report:
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(entrepot(folder / "entrepot", given.database)),
            stack.enter_context(docker_registry(folder / "docker-registry")),
            stack.enter_context(nginx(folder / "nginx")),
            *(peer(text) for text in given.peer),
        ]
        found = facts(folder)
        stock = Stock(Contents(folder / "pool", given.seed), scale, given.peer_tags)
        count = given.rounds or (2 if given.quick else 5)
        results = run(chosen, servers, stock, count)
    return Report(
        found,
        servers,
        results,
        count,
        bool(given.database),
        shlex.join(["python", "-m", "benchmarks.registry", *sys.argv[1:]]),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.registry", description=__doc__)
    parser.add_argument("--only", metavar="ROW,ROW", help="these rows alone")
    parser.add_argument("--list", action="store_true", help="name the rows and end")
    parser.add_argument("--quick", action="store_true", help="less of everything: a look, not a measurement")
    parser.add_argument("--rounds", type=int, help="interleaved rounds; 5, or 2 with --quick")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=URL", help="a registry that runs already")
    parser.add_argument("--database", metavar="URL", default="", help="an empty database of PostgreSQL, for Entrepot")
    parser.add_argument("--peer-tags", type=int, default=10_000, help="most tags that are pushed to others one by one")
    parser.add_argument("--folder", type=Path, help="where the servers keep their data; needs 15 GB")
    parser.add_argument("--seed", type=int, default=4, help="of the contents")
    parser.add_argument("--json", type=Path, help="a file for all raw figures")
    parser.add_argument("--markdown", type=Path, help="a file for the tables of docs/reference/performance.md")
    parser.add_argument("--check", action="store_true", help="end with 1 if something that must hold does not")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
