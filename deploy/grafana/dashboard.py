"""Writes the Grafana dashboard to stdout, made from the declared metrics: so no panel can name one that is not there.

`just dashboard` keeps it in `deploy/grafana/entrepot.json`; `tests/architecture/test_monitoring.py` compares the two.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any, Final

from entrepot.runtime.telemetry.families import CACHE_BYTES, CONNECTIONS, FAMILIES, Family, Kind

SELECTED: Final = 'job=~"$job"'
RATE: Final = "$__rate_interval"
QUANTILES: Final = ("0.5", "0.95", "0.99")
OBJECTIVES: Final = (
    ("Pulls that fail, of an hour's (at most 0.05 % in 30 days)", "entrepot:pull_failed:ratio_1h"),
    ("Pushes that fail, of an hour's (at most 0.1 %)", "entrepot:push_failed:ratio_1h"),
    ("Minutes with slow manifests, of an hour's (at most 1 %)", "entrepot:pull_slow:ratio_1h"),
    ("Minutes with late verdicts, of an hour's (at most 1 %)", "entrepot:verdict_late:ratio_1h"),
)
ROWS: Final = {
    "Requests": ("entrepot_http_", "entrepot_limit_", "entrepot_event_"),
    "Pulls, pushes, tokens": ("entrepot_pull_", "entrepot_push_", "entrepot_tokens_"),
    "Storage": ("entrepot_cache_", "entrepot_storage_", "entrepot_review_", "entrepot_gc_"),
    "Scans, verdicts, jobs": (
        "entrepot_jobs",
        "entrepot_job_",
        "entrepot_scan",
        "entrepot_findings",
        "entrepot_gates",
        "entrepot_policy_",
        "entrepot_feed_",
    ),
    "Promotions": ("entrepot_promotions_",),
    "Records, keys, server": ("entrepot_audit_", "entrepot_key_", "entrepot_database_", "entrepot_build_"),
}
UNITS: Final = {"_bytes_total": "Bps", "_total": "ops", "_bytes": "bytes", "_seconds": "s", "": "short"}
PANEL_WIDTH: Final = 12
PANEL_HEIGHT: Final = 8
ROW_HEIGHT: Final = 1


def expressions(family: Family) -> list[tuple[str, str]]:
    """What is drawn of *family*: expressions in PromQL, each with the legend of its lines."""
    names = family.label_names
    legend = " ".join(f"{{{{{name}}}}}" for name in names)
    match family.kind:
        case Kind.COUNTER:
            return [(f"sum{_by(names)} (rate({family.name}{{{SELECTED}}}[{RATE}]))", legend)]
        case Kind.HISTOGRAM:
            rate = f"sum{_by(('le', *names))} (rate({family.name}_bucket{{{SELECTED}}}[{RATE}]))"
            return [(f"histogram_quantile({each}, {rate})", f"{each} {legend}".strip()) for each in QUANTILES]
        case Kind.GAUGE:
            # Every replica counts the same rows; what is of one machine has no label of ours.
            grouped = names or ("instance",)
            legend = legend or "{{instance}}"
            how = "sum" if family in {CACHE_BYTES, CONNECTIONS} else "max"
            return [(f"{how}{_by(grouped)} ({family.name}{{{SELECTED}}})", legend)]


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    return {
        "uid": "entrepot",
        "title": "Entrepot",
        "tags": ["entrepot"],
        "timezone": "browser",
        "schemaVersion": 39,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
                {
                    "name": "job",
                    "type": "query",
                    "label": "Job",
                    "datasource": {"type": "prometheus", "uid": "$datasource"},
                    "query": "label_values(entrepot_build_info, job)",
                    "definition": "label_values(entrepot_build_info, job)",
                    "refresh": 2,
                    "includeAll": True,
                    "multi": True,
                    "current": {"text": "All", "value": "$__all"},
                },
            ]
        },
        "panels": list(_placed()),
    }


def _placed() -> Iterator[dict[str, Any]]:
    """Rows of two panels side by side, below one another."""
    number = top = 0
    for title, panels in _rows():
        number += 1
        yield {"id": number, "type": "row", "title": title, "panels": [], "gridPos": _place(0, top, 24, ROW_HEIGHT)}
        top += ROW_HEIGHT
        for index, panel in enumerate(panels):
            number += 1
            left = PANEL_WIDTH * (index % 2)
            yield {"id": number, **panel, "gridPos": _place(left, top, PANEL_WIDTH, PANEL_HEIGHT)}
            if index % 2 or index == len(panels) - 1:
                top += PANEL_HEIGHT


def _rows() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    objectives = [_panel(title, "percentunit", [(f"{name}{{{SELECTED}}}", "{{job}}")]) for title, name in OBJECTIVES]
    yield "Objectives (needs entrepot.rules.yml)", objectives
    for title, prefixes in ROWS.items():
        found = [family for family in FAMILIES if family.name.startswith(prefixes)]
        yield title, [_panel(f"{each.name}: {each.help}", _unit(each), expressions(each)) for each in found]


def _panel(title: str, unit: str, drawn: list[tuple[str, str]]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "$datasource"}
    return {
        "type": "timeseries",
        "title": title,
        "datasource": source,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"tooltip": {"mode": "multi", "sort": "desc"}, "legend": {"displayMode": "list"}},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": source, "expr": expression, "legendFormat": legend}
            for index, (expression, legend) in enumerate(drawn)
        ],
    }


def _by(names: tuple[str, ...]) -> str:
    return f" by ({', '.join(names)})" if names else ""


def _unit(family: Family) -> str:
    return next(unit for end, unit in UNITS.items() if family.name.endswith(end))


def _place(left: int, top: int, width: int, height: int) -> dict[str, int]:
    return {"x": left, "y": top, "w": width, "h": height}


if __name__ == "__main__":
    json.dump(dashboard(), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
