"""What was measured: a table for people, JSON with all raw figures, a page for the documentation."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.registry.ratios import Ratio, ratio
from benchmarks.registry.rounds import Measured, Result, as_json
from benchmarks.registry.servers import FILES, OTHERS, OURS, Server

MEGABYTE: Final = 1_000_000
# What must be shown in one run on two cores, of the medians: row, rival, at least so many times as good.
RATIOS: Final = (
    ("blob-get-8MiB", OTHERS, 1.0),
    ("blob-get-8MiB", FILES, 0.8),
    ("blob-put-large", OTHERS, 1.6),
    ("push-32", OTHERS, 1.0),
)
ON_SQLITE: Final = ("manifest-get-tag", OTHERS, 8.0)
ON_POSTGRESQL: Final = ("manifest-get-tag", OTHERS, 3.0)
MEMORY: Final = (("web", 400), ("worker", 700))
FEW_TAGS, MANY_TAGS, TAGS_RATIO = "tags-1000", "tags-100000", 1.5


@dataclass(frozen=True, slots=True)
class Check:
    """A claim that must hold, and whether it does."""

    claim: str
    found: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Report:
    """A finished run."""

    facts: Mapping[str, str]
    servers: Sequence[Server]
    results: Sequence[Result]
    rounds: int
    on_postgresql: bool
    command: str

    def checks(self) -> list[Check]:
        """The claims that the rows of this run can show or refute."""
        by_key = {result.row.key: result for result in self.results}
        found = []
        for key, rival, least in (*RATIOS, ON_POSTGRESQL if self.on_postgresql else ON_SQLITE):
            measured = _ratio(by_key[key], rival) if key in by_key else None
            if measured is not None:
                claim = f"{key} at least {least} x {rival}"
                found.append(Check(claim, f"{measured.value:.2f}", measured.value >= least))
        for role, most in MEMORY:
            peak = max((one.peaks.get(role, 0) for one in self._ours()), default=0) / MEGABYTE
            found.append(Check(f"{role} process under {most} MB throughout", f"{peak:.0f} MB", 0 < peak < most))
        if FEW_TAGS in by_key and MANY_TAGS in by_key:
            few, many = (_median(by_key[key].rounds.get(OURS, [])) for key in (FEW_TAGS, MANY_TAGS))
            if few and many:
                claim = f"{MANY_TAGS} within {TAGS_RATIO} x {FEW_TAGS}"
                found.append(Check(claim, f"{many / few:.2f}", many / few <= TAGS_RATIO))
        return found

    def document(self) -> dict[str, Any]:
        """All of it."""
        rows = []
        for result in self.results:
            ratios = {server.name: _ratio(result, server.name) for server in self._rivals()}
            medians = {name: _median(rounds) for name, rounds in result.rounds.items()}
            given = {name: asdict(one) for name, one in ratios.items() if one is not None}
            rows.append({**as_json(result), "medians": medians, "times_as_good": given})
        return {
            "command": self.command,
            "rounds": self.rounds,
            "facts": dict(self.facts),
            "servers": {server.name: {"version": server.version, "notes": server.notes} for server in self.servers},
            "rows": rows,
            "checks": [asdict(check) for check in self.checks()],
        }

    def write_json(self, path: Path) -> None:
        """The whole run as JSON."""
        path.write_text(json.dumps(self.document(), indent=1) + "\n")

    def table(self) -> str:
        """For a terminal."""
        header = ["workload", "unit", *(server.name for server in self.servers)]
        header += [f"x {server.name}" for server in self._rivals()]
        lines = [header, *(self._cells(result) for result in self.results)]
        return "\n".join([*_aligned(lines), "", *self._cost_table(), "", *self._check_lines()])

    def markdown(self) -> str:
        """For a page of the documentation."""
        header = ["Workload", "Unit", *(f"`{server.name}`" for server in self.servers)]
        header += [f"× `{server.name}` (95 %)" for server in self._rivals()]
        costs = [[cell.replace("|", "/") for cell in line] for line in self._costs()]
        return "\n".join(
            [
                *(f"- {name}: {value}" for name, value in self.facts.items() if value),
                *(f"- `{server.name}` {server.version}: {server.notes}" for server in self.servers),
                f"- {self.rounds} interleaved rounds; void rounds: {sum(len(each.void) for each in self.results)}",
                "",
                *_markdown([header, *(self._cells(result) for result in self.results)]),
                "",
                *_markdown(costs),
                "",
                *_markdown([["Must hold", "Found", ""], *self._check_cells()]),
                "",
            ]
        )

    def _rivals(self) -> list[Server]:
        return [server for server in self.servers if server.name != OURS]

    def _ours(self) -> Iterable[Measured]:
        return (one for result in self.results for one in result.rounds.get(OURS, []))

    def _cells(self, result: Result) -> list[str]:
        cells = [result.row.title, result.row.unit]
        cells += [_number(_median(result.rounds.get(server.name, []))) for server in self.servers]
        cells += [_interval(_ratio(result, server.name)) for server in self._rivals()]
        return cells

    def _costs(self) -> list[list[str]]:
        """CPU seconds per round (after it), client's CPU, and peak memory, by server and role."""
        lines = [
            ["workload", "server", "seconds", "CPU s (and after)", "client CPU s", "peak MB by process", "other CPU s"]
        ]
        for result in self.results:
            for name, rounds in result.rounds.items():
                used = median(sum(one.cpu.values()) for one in rounds)
                after = median(sum(one.cpu_after.values()) for one in rounds)
                client = median(one.outcome.client_cpu for one in rounds)
                roles = sorted({role for one in rounds for role in one.peaks})
                peaks = [f"{role} {max(one.peaks.get(role, 0) for one in rounds) / MEGABYTE:.0f}" for role in roles]
                seconds = median(one.outcome.seconds for one in rounds)
                foreign = median(one.foreign for one in rounds)
                cells = [f"{seconds:.2f}", f"{used:.2f} ({after:.2f})", f"{client:.2f}", ", ".join(peaks)]
                lines.append([result.row.key, name, *cells, f"{foreign:.2f}"])
        return lines

    def _cost_table(self) -> list[str]:
        return _aligned(self._costs())

    def _check_cells(self) -> list[list[str]]:
        return [[check.claim, check.found, "yes" if check.holds else "NO"] for check in self.checks()]

    def _check_lines(self) -> list[str]:
        void = [f"void: {result.row.key}: {text[:200]}" for result in self.results for text in result.void]
        return [*_aligned([["must hold", "found", ""], *self._check_cells()]), *void]


def _ratio(result: Result, rival: str) -> Ratio | None:
    ours, theirs = result.rounds.get(OURS), result.rounds.get(rival)
    if not ours or not theirs:
        return None
    return ratio([one.value for one in ours], [one.value for one in theirs], more=result.row.more)


def _median(rounds: Sequence[Measured]) -> float | None:
    return median(one.value for one in rounds) if rounds else None


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _interval(found: Ratio | None) -> str:
    return "–" if found is None else f"{found.value:.2f} ({found.low:.2f}–{found.high:.2f})"


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _markdown(lines: Sequence[Sequence[str]]) -> list[str]:
    first, *rest = ["| " + " | ".join(line) + " |" for line in lines]
    return [first, "|" + "--|" * len(lines[0]), *rest]
