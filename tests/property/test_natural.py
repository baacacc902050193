"""The natural order: a key that sorts as a comparison of one character and one number after the other does."""

from functools import cmp_to_key
from itertools import takewhile

from hypothesis import given
from hypothesis import strategies as st

from entrepot.catalog.tables import tag
from entrepot.oci.reference import check_tag
from entrepot.runtime.natural import natural_key

numbers = st.tuples(st.sampled_from(("", "", "0", "00")), st.integers(0, 1_200)).map(
    lambda parts: f"{parts[0]}{parts[1]}"
)
words = st.sampled_from(("v", "V", "rc", "_", ".", "-", "a"))
names = st.lists(st.one_of(numbers, words), min_size=1, max_size=5).map("".join)
longest = st.text("0123456789.aZ-_", min_size=127, max_size=127).map("v".__add__)


def compare(left: str, right: str) -> int:
    """The order people expect, said without keys: numbers by their value, all else by its code."""
    while left and right:
        here, there = ("".join(takewhile(str.isdecimal, each)) for each in (left, right))
        if here and there:
            if int(here) != int(there):
                return -1 if int(here) < int(there) else 1
            left, right = left[len(here) :], right[len(there) :]
        elif left[0] != right[0]:
            return -1 if left[0] < right[0] else 1
        else:
            left, right = left[1:], right[1:]
    return bool(left) - bool(right)


@given(st.lists(names, max_size=12))
def test_keys_sort_as_people_count(found: list[str]) -> None:
    assert sorted(found, key=natural_key) == sorted(found, key=cmp_to_key(compare))


@given(longest)
def test_the_key_of_the_longest_tag_has_room(name: str) -> None:
    room: int = tag.c.natural_key.type.length  # type: ignore[attr-defined]

    assert len(natural_key(check_tag(name))) <= room


def test_the_longest_key_fills_its_room() -> None:
    assert len(natural_key("1a" * 64)) == tag.c.natural_key.type.length  # type: ignore[attr-defined]
