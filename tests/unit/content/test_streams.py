"""How large the pieces of blobs are that clients are sent."""

from entrepot.content.reader import AHEAD_BYTES, LARGEST_PIECE, PIECES_AHEAD, SMALLEST_PIECE, Streams


def test_a_few_answers_get_large_pieces_and_many_get_small_ones() -> None:
    assert Streams(0).piece_bytes() == Streams(1).piece_bytes() == Streams(8).piece_bytes() == LARGEST_PIECE
    assert Streams(10_000).piece_bytes() == SMALLEST_PIECE


def test_answers_that_begin_one_after_the_other_and_stall_hold_a_few_times_the_budget() -> None:
    held = sum(PIECES_AHEAD * Streams(number).piece_bytes() for number in range(1, 4_097))

    assert held < 15 * AHEAD_BYTES
