import contextlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.runtime.quantities import format_bytes, format_duration, parse_bytes, parse_duration


@given(st.integers(min_value=0, max_value=10**15 - 1))
def test_a_size_reads_back_as_it_is_shown(size: int) -> None:
    assert parse_bytes(format_bytes(size)) == size


@given(st.integers(min_value=0, max_value=10**11))
def test_a_duration_reads_back_as_it_is_shown(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)

    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("65536", 65_536), ("1B", 1), ("512KiB", 524_288), ("4 MiB", 4_194_304), ("50GiB", 50 << 30)],
)
def test_a_size_has_a_binary_unit_or_none(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("50ms", timedelta(milliseconds=50)),
        ("0s", timedelta()),
        ("10s", timedelta(seconds=10)),
        ("5m", timedelta(minutes=5)),
        ("36h", timedelta(hours=36)),
        ("7d", timedelta(days=7)),
    ],
)
def test_a_duration_has_a_unit(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "4MB", "4mib", "-1", "1.5GiB", "MiB", "١", "1e3", "1" * 16])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a size"):
        parse_bytes(text)


@pytest.mark.parametrize("text", ["", "10", "10S", "-1s", "1.5s", "s", "1w", "999999999999999d", "37000d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a duration"):
        parse_duration(text)


@given(st.text())
@pytest.mark.parametrize("parse", [parse_bytes, parse_duration])
def test_parsers_fail_only_with_a_value_error(parse: Callable[[str], object], text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse(text) is not None
