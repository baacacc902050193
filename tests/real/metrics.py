"""What a server counts, read as Prometheus reads it, and held to what is declared."""

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from entrepot.runtime.telemetry.families import undeclared

MOST_SERIES: Final = 3_000

Series = tuple[str, tuple[tuple[str, str], ...]]


def series(text: str) -> dict[Series, float]:
    """The value of each series in *text*, which is in the Prometheus text format."""
    return {(name, tuple(sorted(labels.items()))): value for name, labels, value in _samples(text)}


def assert_only_declared(text: str) -> None:
    """Each series of *text* has the labels that are declared, with declared values, and there are few enough."""
    found = series(text)
    wrong = {each: reasons for each in found if (reasons := undeclared(*each))}

    assert not wrong, wrong
    assert len(found) <= MOST_SERIES


def _samples(text: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value
