"""Small blobs in memory: bounded in bytes, the one not asked for longest goes first, and all is counted."""

from entrepot.content.cache import ByteCache


def test_what_was_put_is_got() -> None:
    cache = ByteCache(100, 50)
    cache.put("a", b"bytes")

    assert (cache.get("a"), cache.get("b")) == (b"bytes", None)


def test_a_blob_over_the_largest_is_not_kept() -> None:
    cache = ByteCache(100, 50)
    cache.put("a", bytes(51))

    assert (cache.takes(50), cache.takes(51), cache.get("a")) == (True, False, None)


def test_the_one_not_asked_for_longest_makes_room() -> None:
    cache = ByteCache(100, 50)
    for name in "ab":
        cache.put(name, bytes(50))
    cache.get("a")
    cache.put("c", bytes(50))

    assert [cache.get(name) is not None for name in "abc"] == [True, False, True]


def test_bytes_are_never_more_than_the_limit() -> None:
    sizes: list[int] = []
    cache = ByteCache(100, 50, sized=sizes.append)
    for number in range(20):
        cache.put(str(number), bytes(33))
        cache.put(str(number), bytes(33))

    assert max(sizes) == 99


def test_questions_are_counted() -> None:
    asked: list[bool] = []
    cache = ByteCache(100, 50, asked=asked.append)
    cache.put("a", b"x")
    cache.get("a")
    cache.get("b")

    assert asked == [True, False]
