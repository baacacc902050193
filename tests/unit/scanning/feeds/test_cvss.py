from pathlib import Path

import pytest

from entrepot.scanning.feeds.cvss import rate
from entrepot.scanning.model import Rating, Severity

PAIRS = Path(__file__).parents[3] / "data" / "feeds" / "cvss.txt"


def test_vectors_score_as_published() -> None:
    pairs = [line.split(" ") for line in PAIRS.read_text().splitlines()]
    scored = {vector: rate(vector) for vector, _ in pairs}

    assert len(pairs) > 90
    assert [(v, s) for v, s in pairs if (r := scored[v]) is None or r.score != float(s)] == []


def test_a_rating_names_its_version_and_keeps_its_vector() -> None:
    vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"

    assert rate(vector) == Rating("cvss:3.1", Severity.CRITICAL, 9.8, vector)


@pytest.mark.parametrize(
    ("vector", "source", "score", "severity"),
    [
        ("AV:N/AC:L/Au:N/C:C/I:C/A:C", "cvss:2", 10.0, Severity.HIGH),
        ("(AV:N/AC:L/Au:N/C:P/I:P/A:P)", "cvss:2", 7.5, Severity.HIGH),
        ("AV:L/AC:H/Au:M/C:N/I:N/A:P/E:POC/RL:OF/RC:C", "cvss:2", 0.8, Severity.LOW),
        ("CVSS:3.0/AV:L/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N", "cvss:3.0", 0.0, Severity.NEGLIGIBLE),
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N/E:P/MAV:P", "cvss:3.1", 6.4, Severity.MEDIUM),
        ("CVSS:3.1/A:H/AC:L/AV:N/C:N/I:N/PR:N/S:U/UI:N", "cvss:3.1", 7.5, Severity.HIGH),
        (
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H/MSI:S/MSA:S/U:Red",
            "cvss:4.0",
            10.0,
            Severity.CRITICAL,
        ),
        ("CVSS:4.0/AV:L/AC:H/AT:P/PR:H/UI:A/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N/E:U", "cvss:4.0", 0.1, Severity.LOW),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N", "cvss:4.0", 0.0, Severity.NEGLIGIBLE),
        ("CVSS:4.0/AV:A/AC:L/AT:P/PR:H/UI:A/VC:H/VI:H/VA:L/SC:H/SI:N/SA:L", "cvss:4.0", 6.9, Severity.MEDIUM),
        ("CVSS:4.0/AV:A/AC:H/AT:N/PR:N/UI:P/VC:H/VI:H/VA:L/SC:L/SI:H/SA:N", "cvss:4.0", 8.7, Severity.HIGH),
    ],
)
def test_each_version_has_its_scale(vector: str, source: str, score: float, severity: Severity) -> None:
    rating = rate(vector)

    assert rating is not None
    assert (rating.source, rating.score, rating.severity) == (source, score, severity)


@pytest.mark.parametrize(
    "vector",
    [
        "",
        "7.5",
        "CVSS:3.1",
        "CVSS:3.1/",
        "CVSS:2.9/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H",
        "CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/ZZ:H",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:Z",
        "AV:N/AC:L/Au:N/C:C/I:C",
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:H/UI:N/VC:L/VI:L/VA:N/SC:N/SI:N",
        "CVSS:4.0/AV:NA/AC:L/AT:N/PR:H/UI:N/VC:L/VI:L/VA:N/SC:N/SI:N/SA:N",
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:H/UI:N/VC:L/VI:L/VA:N/SC:N/SI:S/SA:N",
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:H/UI:N/VC:L/VI:L/VA:N/SC:N/SI:N/SA:🚮",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" + "/E:X" * 200,
    ],
)
def test_an_invalid_vector_rates_nothing(vector: str) -> None:
    assert rate(vector) is None
