"""The score of a CVSS v4.0 vector (FIRST: CVSS v4.0 specification, sections 8.2 and 8.3).

A vector falls into a macro vector of six levels EQ1 to EQ6; experts ranked the 270 that exist. The score is that of
the macro vector, lowered by how far the vector lies below the highest one of its levels: per level, the drop to the
next lower macro vector × steps below ÷ steps there are, averaged over the levels that have a lower one.
EQ3 and EQ6 depend on each other and count as one.
"""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

# Metric -> values, worst first: a value's place is its number of steps below the worst.
_BASE: Final[Mapping[str, str]] = {
    "AV": "NALP",
    "AC": "LH",
    "AT": "NP",
    "PR": "NLH",
    "UI": "NPA",
    **dict.fromkeys(("VC", "VI", "VA", "SC", "SI", "SA"), "HLN"),
}
_STEPS: Final[Mapping[str, str]] = {
    **_BASE,
    # Safety is only for the modified forms of these two.
    "SI": "SHLN",
    "SA": "SHLN",
    "CR": "HML",
    "IR": "HML",
    "AR": "HML",
    "E": "APU",
}
_OPTIONAL: Final[Mapping[str, frozenset[str]]] = {
    **{f"M{name}": frozenset(_STEPS[name]) | {"X"} for name in _BASE},
    **{name: frozenset(_STEPS[name]) | {"X"} for name in ("CR", "IR", "AR", "E")},
    "S": frozenset("XNP"),
    "AU": frozenset("XNY"),
    "R": frozenset("XAUI"),
    "V": frozenset("XDC"),
    "RE": frozenset("XLMH"),
    "U": frozenset(("X", "Clear", "Green", "Amber", "Red")),
}

# EQ1 EQ2 EQ3 EQ4: the scores for EQ5 EQ6 = 00 01 10 11 20 21; with EQ3 = 2, EQ6 is always 1.
_TABLE: Final = """
    0000: 10.0 9.9 9.8 9.5 9.5 9.2
    0001: 10.0 9.6 9.3 8.7 9.1 8.1
    0002: 9.3 9.0 8.9 8.0 8.1 6.8
    0010: 9.8 9.5 9.5 9.2 9.0 8.4
    0011: 9.3 9.2 8.9 8.1 8.1 6.5
    0012: 8.8 8.0 7.8 7.0 6.9 4.8
    0020: 9.2 8.2 7.2
    0021: 7.9 6.9 5.0
    0022: 6.9 5.5 2.7
    0100: 9.9 9.7 9.5 9.2 9.2 8.5
    0101: 9.5 9.1 9.0 8.3 8.4 7.1
    0102: 9.2 8.1 8.2 7.1 7.2 5.3
    0110: 9.5 9.3 9.2 8.5 8.5 7.3
    0111: 9.2 8.2 8.0 7.2 7.0 5.9
    0112: 8.4 7.0 7.1 5.2 5.0 3.0
    0120: 8.6 7.5 5.2
    0121: 7.1 5.2 2.9
    0122: 6.3 2.9 1.7
    1000: 9.8 9.5 9.4 8.7 9.1 8.1
    1001: 9.4 8.9 8.6 7.4 7.7 6.4
    1002: 8.7 7.5 7.4 6.3 6.3 4.9
    1010: 9.4 8.9 8.8 7.7 7.6 6.7
    1011: 8.6 7.6 7.4 5.8 5.9 5.0
    1012: 7.2 5.7 5.7 5.2 5.2 2.5
    1020: 8.3 7.0 5.4
    1021: 6.5 5.8 2.6
    1022: 5.3 2.1 1.3
    1100: 9.5 9.0 8.8 7.6 7.6 7.0
    1101: 9.0 7.7 7.5 6.2 6.1 5.3
    1102: 7.7 6.6 6.8 5.9 5.2 3.0
    1110: 8.9 7.8 7.6 6.7 6.2 5.8
    1111: 7.4 5.9 5.7 5.7 4.7 2.3
    1112: 6.1 5.2 5.7 2.9 2.4 1.6
    1120: 7.1 5.9 3.0
    1121: 5.8 2.6 1.5
    1122: 2.3 1.3 0.6
    2000: 9.3 8.7 8.6 7.2 7.5 5.8
    2001: 8.6 7.4 7.4 6.1 5.6 3.4
    2002: 7.0 5.4 5.2 4.0 4.0 2.2
    2010: 8.5 7.5 7.4 5.5 6.2 5.1
    2011: 7.2 5.7 5.5 4.1 4.6 1.9
    2012: 5.3 3.6 3.4 1.9 1.9 0.8
    2020: 6.4 5.1 2.0
    2021: 4.7 2.1 1.1
    2022: 2.4 0.9 0.4
    2100: 8.8 7.5 7.3 5.3 6.0 5.0
    2101: 7.3 5.5 5.9 4.0 4.1 2.0
    2102: 5.4 4.3 4.5 2.2 2.0 1.1
    2110: 7.5 5.5 5.8 4.5 4.0 2.1
    2111: 6.1 5.1 4.8 1.8 2.0 0.9
    2112: 4.6 1.8 1.7 0.7 0.8 0.2
    2120: 5.3 2.4 1.4
    2121: 2.4 1.2 0.5
    2122: 1.0 0.3 0.1
"""


def _scores(table: str) -> dict[str, float]:
    scores: dict[str, float] = {}
    for line in table.split("\n")[1:-1]:
        levels, _, values = line.strip().partition(": ")
        ends = ("01", "11", "21") if levels[2] == "2" else ("00", "01", "10", "11", "20", "21")
        scores |= {levels + end: float(value) for end, value in zip(ends, values.split(), strict=True)}
    return scores


_SCORES: Final[Mapping[str, float]] = _scores(_TABLE)

# (EQ, level) -> the steps there are within it, and its highest vectors (tables 24 to 30).
_HIGHEST: Final[Mapping[tuple[str, str], tuple[int, tuple[str, ...]]]] = {
    ("1", "0"): (1, ("AV:N/PR:N/UI:N",)),
    ("1", "1"): (4, ("AV:A/PR:N/UI:N", "AV:N/PR:L/UI:N", "AV:N/PR:N/UI:P")),
    ("1", "2"): (5, ("AV:P/PR:N/UI:N", "AV:A/PR:L/UI:P")),
    ("2", "0"): (1, ("AC:L/AT:N",)),
    ("2", "1"): (2, ("AC:H/AT:N", "AC:L/AT:P")),
    ("36", "00"): (7, ("VC:H/VI:H/VA:H/CR:H/IR:H/AR:H",)),
    ("36", "01"): (6, ("VC:H/VI:H/VA:L/CR:M/IR:M/AR:H", "VC:H/VI:H/VA:H/CR:M/IR:M/AR:M")),
    ("36", "10"): (8, ("VC:L/VI:H/VA:H/CR:H/IR:H/AR:H", "VC:H/VI:L/VA:H/CR:H/IR:H/AR:H")),
    ("36", "11"): (
        8,
        (
            "VC:L/VI:H/VA:L/CR:H/IR:M/AR:H",
            "VC:L/VI:H/VA:H/CR:H/IR:M/AR:M",
            "VC:H/VI:L/VA:H/CR:M/IR:H/AR:M",
            "VC:H/VI:L/VA:L/CR:M/IR:H/AR:H",
            "VC:L/VI:L/VA:H/CR:H/IR:H/AR:M",
        ),
    ),
    ("36", "21"): (10, ("VC:L/VI:L/VA:L/CR:H/IR:H/AR:H",)),
    ("4", "0"): (6, ("SC:H/SI:S/SA:S",)),
    ("4", "1"): (5, ("SC:H/SI:H/SA:H",)),
    ("4", "2"): (4, ("SC:L/SI:L/SA:L",)),
}


def score(metrics: Mapping[str, str]) -> float | None:
    """The score, 0.0 to 10.0, of a vector's *metrics* (name -> value); None if they make no valid vector."""
    if any(metrics.get(name, "") not in tuple(values) for name, values in _BASE.items()):
        return None
    if any(name not in _BASE and value not in _OPTIONAL.get(name, ()) for name, value in metrics.items()):
        return None
    values = {name: _effective(metrics, name) for name in _STEPS}
    if all(values[name] == "N" for name in ("VC", "VI", "VA", "SC", "SI", "SA")):
        return 0.0
    levels = _levels(values)
    top = _SCORES[levels]
    drops = [
        _drop(values, top - lower, eq, level)
        for lower, eq, level in (
            (_next_lower(levels, 0), "1", levels[0]),
            (_next_lower(levels, 1), "2", levels[1]),
            (_next_lower_36(levels), "36", levels[2] + levels[5]),
            (_next_lower(levels, 3), "4", levels[3]),
            # No steps lie within a level of EQ5, yet it counts in the mean.
            (_next_lower(levels, 4), "5", ""),
        )
        if lower is not None
    ]
    mean = sum(drops) / len(drops) if drops else 0.0
    # Decimal halves, which binary fractions would miss by dust (the specification's calculators round so too).
    rounded = Decimal(str(round(top - mean, 6))).quantize(Decimal("0.1"), ROUND_HALF_UP)
    return min(max(float(rounded), 0.0), 10.0)


def _effective(metrics: Mapping[str, str], name: str) -> str:
    for value in (metrics.get(f"M{name}", "X"), metrics.get(name, "X")):
        if value != "X":
            return value
    return _STEPS[name][0]


def _levels(v: Mapping[str, str]) -> str:
    """EQ1 to EQ6 as six digits (tables 24 to 29)."""
    easy = (v["AV"] == "N", v["PR"] == "N", v["UI"] == "N")
    eq1 = 0 if all(easy) else 1 if any(easy) and v["AV"] != "P" else 2
    eq2 = 0 if v["AC"] == "L" and v["AT"] == "N" else 1
    high = (v["VC"] == "H", v["VI"] == "H", v["VA"] == "H")
    eq3 = 0 if high[0] and high[1] else 1 if any(high) else 2
    eq4 = 0 if "S" in (v["SI"], v["SA"]) else 1 if "H" in (v["SC"], v["SI"], v["SA"]) else 2
    eq5 = "APU".index(v["E"])
    eq6 = 0 if any(hit and v[need] == "H" for hit, need in zip(high, ("CR", "IR", "AR"), strict=True)) else 1
    return f"{eq1}{eq2}{eq3}{eq4}{eq5}{eq6}"


def _next_lower(levels: str, at: int) -> float | None:
    return _SCORES.get(f"{levels[:at]}{int(levels[at]) + 1}{levels[at + 1 :]}")


def _next_lower_36(levels: str) -> float | None:
    match levels[2], levels[5]:
        case "0", "0":
            # Both neighbors are lower: the nearer one counts.
            found = [score for score in (_next_lower(levels, 2), _next_lower(levels, 5)) if score is not None]
            return max(found, default=None)
        case "1", "0":
            return _next_lower(levels, 5)
        case _:
            return _next_lower(levels, 2)


def _drop(values: Mapping[str, str], room: float, eq: str, level: str) -> float:
    """How much of *room*, the way down to the next lower macro vector, the vector uses up."""
    depth, highest = _HIGHEST.get((eq, level), (1, ()))
    for vector in highest:
        steps = [
            _STEPS[name].index(values[name]) - _STEPS[name].index(worst)
            for name, _, worst in (metric.partition(":") for metric in vector.split("/"))
        ]
        if min(steps) >= 0:
            return room * sum(steps) / depth
    return 0.0
