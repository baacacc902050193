import itertools

import pytest

from entrepot.scanning.model import Rating, Severity
from entrepot.scanning.severity import choose

GHSA = Rating("ghsa", Severity.MEDIUM)
CVSS4 = Rating("cvss:4.0", Severity.CRITICAL, 9.3)
CVSS31 = Rating("cvss:3.1", Severity.HIGH, 7.5)
CVSS2 = Rating("cvss:2", Severity.LOW, 2.1)
VENDOR = Rating("vendor", Severity.CRITICAL)
LOW = Rating("debian", Severity.LOW)
UNIMPORTANT = Rating("debian", Severity.NEGLIGIBLE)


@pytest.mark.parametrize(
    ("ratings", "chosen"),
    [
        ([], (Severity.UNKNOWN, "")),
        ([Rating("vendor", Severity.UNKNOWN)], (Severity.UNKNOWN, "")),
        ([CVSS31, GHSA, CVSS4], (Severity.MEDIUM, "ghsa")),
        ([CVSS2, CVSS31, CVSS4], (Severity.CRITICAL, "cvss:4.0")),
        ([VENDOR, CVSS2], (Severity.LOW, "cvss:2")),
        ([LOW, CVSS31], (Severity.HIGH, "cvss:3.1")),
        ([LOW, VENDOR], (Severity.CRITICAL, "vendor")),
        ([LOW], (Severity.LOW, "debian")),
        ([UNIMPORTANT, CVSS4, GHSA], (Severity.NEGLIGIBLE, "debian")),
        ([CVSS31, Rating("cvss:3.1", Severity.CRITICAL, 9.8)], (Severity.CRITICAL, "cvss:3.1")),
    ],
)
def test_the_nearest_source_that_rates_is_chosen_in_any_order(
    ratings: list[Rating], chosen: tuple[Severity, str]
) -> None:
    for order in itertools.permutations(ratings):
        assert choose(order) == chosen
