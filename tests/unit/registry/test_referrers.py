"""Pages of referrers: how many, how large, and what becomes of annotations that are none."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from entrepot.registry.hot import Place, Referrer
from entrepot.registry.model import MAX_PAGE_BYTES, MAX_REFERRERS_PAGE
from entrepot.registry.referrers import page_of


def found(number: int, more: int, body: bytes = b"{}") -> Referrer:
    return Referrer(Place(number, f"sha256:{number:064x}"), "m", "t", len(body), body, more)


def test_a_page_has_a_thousand_entries_and_says_where_the_next_begins() -> None:
    count = MAX_REFERRERS_PAGE + 1

    page = page_of([found(n, count - n) for n in range(count)])

    assert len(page.entries) == MAX_REFERRERS_PAGE
    assert page.cursor == f"{count - 2}.sha256:{count - 2:064x}"


def test_a_page_that_holds_all_is_the_last() -> None:
    assert page_of([found(n, 3 - n) for n in range(3)]).cursor == ""
    assert page_of([]).cursor == ""


def test_more_that_was_not_read_makes_another_page() -> None:
    assert page_of([found(7, 2)]).cursor == f"7.sha256:{7:064x}"


def test_an_entry_has_no_field_that_it_has_no_value_for() -> None:
    (entry,) = page_of([Referrer(Place(1, "sha256:a"), "m", "", 2, b"{}", 1)]).entries

    assert json.loads(entry) == {"mediaType": "m", "digest": "sha256:a", "size": 2}


def test_annotations_of_an_older_time_that_are_no_text_are_left_out() -> None:
    for body in (b'{"annotations": {"a": 1}}', b'{"annotations": [1]}', b'{"annotations": null}'):
        (entry,) = page_of([found(1, 1, body)]).entries
        assert "annotations" not in json.loads(entry)


@given(st.lists(st.integers(0, MAX_PAGE_BYTES + 10), min_size=1, max_size=6))
@example([2 << 20, 2 << 20, 10])
@example([10, MAX_PAGE_BYTES + 10, 10])
def test_no_page_is_too_large_unless_one_entry_is_and_none_is_lost(sizes: list[int]) -> None:
    pad = "x" * max(sizes)
    every = [
        found(n, len(sizes) - n, json.dumps({"annotations": {"pad": pad[:size]}}).encode())
        for n, size in enumerate(sizes)
    ]
    seen: list[bytes] = []
    left = every
    while left:
        page = page_of(left)
        assert len(page.entries) == 1 or sum(map(len, page.entries)) + len(page.entries) <= MAX_PAGE_BYTES
        seen += page.entries
        left = left[len(page.entries) :]
        assert bool(page.cursor) == bool(left)

    assert [json.loads(entry)["digest"] for entry in seen] == [each.place.digest for each in every]
