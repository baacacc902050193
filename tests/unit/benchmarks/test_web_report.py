"""What the benchmark of lists and pages calls broken."""

import pytest

from benchmarks.web.report import Row, Taken, failures


def row(small_ms: float, large_ms: float, lengths: tuple[int, int] = (100, 100), *, reads: bool = False) -> Row:
    small, large = (
        Taken([ms] * 20, [1.0] * 20, length) for ms, length in zip((small_ms, large_ms), lengths, strict=True)
    )
    return Row("/x", small, large, reads)


@pytest.mark.parametrize(
    ("measured", "is_broken"),
    [
        (row(20, 29), False),
        (row(20, 31), True),
        (row(2, 19), False),  # below the floor
        (row(20, 200, (100, 1_000)), False),  # ten times as much is shown
        (row(20, 200, reads=True), False),
        (row(290, 301, reads=True), True),
        (row(290, 299), False),
    ],
)
def test_a_limit_is_broken_or_not(measured: Row, is_broken: bool) -> None:
    assert bool(failures([measured])) is is_broken


def test_of_twenty_answers_one_may_be_slow() -> None:
    one, two = Taken([1.0] * 19 + [900.0], [1.0] * 20, 1), Taken([1.0] * 18 + [900.0] * 2, [1.0] * 20, 1)

    assert (one.p50, one.p95) == (1.0, 1.0)
    assert (two.p50, two.p95) == (1.0, 900.0)
