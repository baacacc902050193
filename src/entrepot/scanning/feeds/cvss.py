"""Scores of CVSS vectors (FIRST: CVSS v2.0 guide; v3.0 and v3.1 specifications, section 7; v4.0 in `cvss4`).

Of versions 2 and 3 the base score is taken, whatever temporal or environmental metrics follow; version 4 knows
one score for all metrics. Metrics may stand in any order.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from entrepot.scanning.feeds import cvss4
from entrepot.scanning.model import Rating, Severity

_MAX_VECTOR_CHARS: Final = 512

_V2: Final[Mapping[str, Mapping[str, float]]] = {
    "AV": {"L": 0.395, "A": 0.646, "N": 1.0},
    "AC": {"H": 0.35, "M": 0.61, "L": 0.71},
    "Au": {"M": 0.45, "S": 0.56, "N": 0.704},
    **{name: {"N": 0.0, "P": 0.275, "C": 0.66} for name in "CIA"},
}
_V2_OPTIONAL: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(values.split())
    for name, values in {
        "E": "U POC F H ND",
        "RL": "OF TF W U ND",
        "RC": "UC UR C ND",
        "CDP": "N L LM MH H ND",
        "TD": "N L M H ND",
        "CR": "L M H ND",
        "IR": "L M H ND",
        "AR": "L M H ND",
    }.items()
}

_V3: Final[Mapping[str, Mapping[str, float]]] = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "PR": {"N": 0.85, "L": 0.62, "H": 0.27},
    "UI": {"N": 0.85, "R": 0.62},
    "S": {"U": 0.0, "C": 1.0},
    **{name: {"H": 0.56, "L": 0.22, "N": 0.0} for name in "CIA"},
}
_V3_PRIVILEGES_SCOPE_CHANGED: Final[Mapping[str, float]] = {"N": 0.85, "L": 0.68, "H": 0.5}
_V3_OPTIONAL: Final[Mapping[str, frozenset[str]]] = {
    "E": frozenset("XUPFH"),
    "RL": frozenset("XOTWU"),
    "RC": frozenset("XURC"),
    **{name: frozenset("XLMH") for name in ("CR", "IR", "AR")},
    **{f"M{name}": frozenset(values) | {"X"} for name, values in _V3.items()},
}


@lru_cache(maxsize=4_096)
def rate(vector: str) -> Rating | None:
    """What the CVSS *vector* says: source `cvss:2`, `cvss:3.0`, `cvss:3.1` or `cvss:4.0`, score 0.0 to 10.0, severity.

    None if it is no valid vector: unknown version or metric, a metric missing, given twice or with a wrong value.
    """
    if len(vector) > _MAX_VECTOR_CHARS:
        return None
    head, slash, rest = vector.partition("/")
    version = head.removeprefix("CVSS:") if slash and head.startswith("CVSS:") else "2"
    metrics = _metrics(vector.removeprefix("(").removesuffix(")") if version == "2" else rest)
    if metrics is None:
        return None
    match version:
        case "2":
            score = _score_v2(metrics)
        case "3.0" | "3.1":
            score = _score_v3(metrics)
        case "4.0":
            score = cvss4.score(metrics)
        case _:
            score = None
    if score is None:
        return None
    return Rating(f"cvss:{version}", _severity_v2(score) if version == "2" else _severity(score), score, vector)


def _metrics(text: str) -> dict[str, str] | None:
    metrics: dict[str, str] = {}
    for part in text.split("/"):
        name, colon, value = part.partition(":")
        if not colon or not value or name in metrics:
            return None
        metrics[name] = value
    return metrics


def _is_valid(
    metrics: Mapping[str, str],
    needed: Mapping[str, Mapping[str, float]],
    optional: Mapping[str, frozenset[str]],
) -> bool:
    if any(metrics.get(name) not in values for name, values in needed.items()):
        return False
    return all(name in needed or value in optional.get(name, ()) for name, value in metrics.items())


def _score_v2(metrics: Mapping[str, str]) -> float | None:
    if not _is_valid(metrics, _V2, _V2_OPTIONAL):
        return None
    weight = {name: values[metrics[name]] for name, values in _V2.items()}
    impact = 10.41 * (1 - (1 - weight["C"]) * (1 - weight["I"]) * (1 - weight["A"]))
    if impact == 0:
        return 0.0
    exploitability = 20 * weight["AV"] * weight["AC"] * weight["Au"]
    return round((0.6 * impact + 0.4 * exploitability - 1.5) * 1.176, 1)


def _score_v3(metrics: Mapping[str, str]) -> float | None:
    if not _is_valid(metrics, _V3, _V3_OPTIONAL):
        return None
    weight = {name: values[metrics[name]] for name, values in _V3.items()}
    lost = 1 - (1 - weight["C"]) * (1 - weight["I"]) * (1 - weight["A"])
    if metrics["S"] == "C":
        weight["PR"] = _V3_PRIVILEGES_SCOPE_CHANGED[metrics["PR"]]
        impact = 7.52 * (lost - 0.029) - 3.25 * (lost - 0.02) ** 15
    else:
        impact = 6.42 * lost
    if impact <= 0:
        return 0.0
    exploitability = 8.22 * weight["AV"] * weight["AC"] * weight["PR"] * weight["UI"]
    return _rounded_up(min((1.08 if metrics["S"] == "C" else 1.0) * (impact + exploitability), 10.0))


def _rounded_up(value: float) -> float:
    """*value* rounded up to one decimal, free of floating-point dust (v3.1, appendix A)."""
    whole, rest = divmod(round(value * 100_000), 10_000)
    return (whole + bool(rest)) / 10


def _severity(score: float) -> Severity:
    """The qualitative scale of v3 and v4; its "none" is our `negligible`."""
    if score >= 9.0:
        return Severity.CRITICAL
    if score >= 7.0:
        return Severity.HIGH
    if score >= 4.0:
        return Severity.MEDIUM
    return Severity.LOW if score > 0 else Severity.NEGLIGIBLE


def _severity_v2(score: float) -> Severity:
    """The scale NVD uses for v2, which knows no critical."""
    return min(_severity(score), Severity.HIGH, key=lambda severity: severity.rank)
