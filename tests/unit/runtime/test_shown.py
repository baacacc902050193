"""Times and sizes as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from entrepot.runtime.shown import byte_size, relative

NOW = datetime(2030, 1, 3, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("distance", "text"),
    [
        (timedelta(seconds=0.4), "now"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=23), "23 h ago"),
        (timedelta(days=400), "400 d ago"),
        (timedelta(days=-90), "in 90 d"),
    ],
)
def test_a_distance_in_time_is_told_in_its_largest_whole_unit(distance: timedelta, text: str) -> None:
    assert relative(NOW - distance, NOW) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536 * 1024, "1.5 MiB"), (5 << 40, "5.0 TiB")]
)
def test_sizes_are_told_in_binary_units(count: int, text: str) -> None:
    assert byte_size(count) == text
