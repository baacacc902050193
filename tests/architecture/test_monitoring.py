"""Rules and dashboard: they name only metrics and values that exist, ring when they should, and lead to a page."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from entrepot.runtime.telemetry.families import FAMILIES, Kind
from tests.real.programs import require_program

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "deploy/prometheus/entrepot.rules.yml"
RULES_TESTS: Final = sorted((ROOT / "deploy/prometheus").glob("*.test.yml"))
DASHBOARD: Final = ROOT / "deploy/grafana/entrepot.json"
GENERATOR: Final = ROOT / "deploy/grafana/dashboard.py"
EVERYWHERE: Final = {"up"}
"""What Prometheus itself knows of each target."""

SERIES: Final = {
    name: family
    for family in FAMILIES
    for name in (
        [f"{family.name}{end}" for end in ("_bucket", "_sum", "_count")]
        if family.kind is Kind.HISTOGRAM
        else [family.name]
    )
}


def rules() -> str:
    """The rules as text, without comments."""
    return "\n".join(line for line in RULES.read_text().splitlines() if not line.lstrip().startswith("#"))


def alerts() -> dict[str, str]:
    """The text of each alert."""
    parts = re.split(r"^      - (?=alert:|record:)", rules(), flags=re.MULTILINE)
    return {part.split("\n", 1)[0].removeprefix("alert: "): part for part in parts if part.startswith("alert:")}


def panels() -> list[Any]:
    """The panels of the dashboard that draw something."""
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def drawn() -> list[str]:
    """Each expression of the dashboard, with what Grafana puts in for its variables."""
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [text.replace("$__rate_interval", "1m").replace("$job", "entrepot") for text in found]


def named(expressions: str) -> set[str]:
    """The metrics that *expressions* ask for."""
    bare = re.sub(r'"[^"]*"|\b(?:by|without) \([^)]*\)', "", expressions)
    return set(re.findall(r"\bentrepot[a-z0-9_:]*", bare))


def promtool(*arguments: str | Path) -> str:
    """What promtool says; fails if it finds a fault."""
    done = subprocess.run(
        [require_program("promtool"), *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_takes_the_rules() -> None:
    counted = len(re.findall(r"^      - (?:alert|record):", rules(), re.MULTILINE))

    assert f"{counted} rules found" in promtool("check", "rules", RULES)


def test_every_alert_rings_when_it_should_and_not_else() -> None:
    promtool("test", "rules", *RULES_TESTS)

    text = "".join(path.read_text() for path in RULES_TESTS)
    for alert in alerts():
        cases = re.findall(rf"alertname: {alert}\n        exp_alerts:(.*)", text)
        assert {case.strip() for case in cases} == {"", "[]"}, f"{alert} needs a case in which it rings and one in not"


def test_rules_ask_for_metrics_that_exist() -> None:
    recorded = set(re.findall(r"- record: (\S+)", rules()))
    expressions = re.sub(r"^ *(?:- record|- alert|- name|summary|impact|runbook):.*", "", rules(), flags=re.MULTILINE)
    asked = named(expressions)

    assert asked - recorded - SERIES.keys() == set()
    assert recorded - asked == set(), "recorded for nothing"


@pytest.mark.parametrize(
    "text", [pytest.param(rules, id="rules"), pytest.param(lambda: "\n".join(drawn()), id="panels")]
)
def test_labels_and_values_that_are_chosen_exist(text: Any) -> None:
    chosen = [
        (name, label, value)
        for name, matchers in re.findall(r"\b(entrepot_[a-z_]+)\{([^}]*)\}", text())
        for label, how, pattern in re.findall(r'(\w+)(=~|=)"([^"]*)"', matchers)
        for value in (pattern.split("|") if how == "=~" else [pattern])
        if label != "job"
    ]

    for name, label, value in chosen:
        known = {each.name: each.values for each in SERIES[name].labels}
        assert any(re.fullmatch(value, each) for each in known[label]), (name, label, value)


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_what_people_notice_and_leads_to_a_part_of_the_page(name: str) -> None:
    text = alerts()[name]
    fields = dict(re.findall(r"^ +(summary|impact|runbook|severity): (.+)$", text, re.MULTILINE))
    path, _, anchor = fields["runbook"].partition("#")
    headings = re.findall(r"^## (.+)$", (ROOT / path).read_text(), re.MULTILINE)

    assert fields["severity"] in {"page", "ticket"}
    assert len(fields["summary"]) > 10
    assert len(fields["impact"]) > 20
    assert anchor in {re.sub(r"[^a-z0-9]+", "-", heading.lower()) for heading in headings}


def test_the_dashboard_is_what_the_declared_metrics_make() -> None:
    made = subprocess.run([sys.executable, GENERATOR], capture_output=True, text=True, timeout=60, check=True).stdout

    assert made == DASHBOARD.read_text(), "just dashboard"


def test_every_metric_has_a_panel_and_every_panel_metrics_that_exist(tmp_path: Path) -> None:
    recorded = set(re.findall(r"- record: (\S+)", rules()))
    asked = named("\n".join(drawn()))
    rule_file = tmp_path / "panels.yml"
    rows = [f"      - record: panel:{index}\n        expr: {json.dumps(text)}" for index, text in enumerate(drawn())]
    rule_file.write_text("groups:\n  - name: panels\n    rules:\n" + "\n".join(rows) + "\n")

    assert asked - recorded - SERIES.keys() == set()
    assert [family.name for family in FAMILIES if not asked & {family.name, f"{family.name}_bucket"}] == []
    assert f"{len(drawn())} rules found" in promtool("check", "rules", rule_file)


def test_no_panel_covers_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert cells.isdisjoint(taken), panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())
