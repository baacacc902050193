"""Several things at once, of which one fails."""

import asyncio

from entrepot.errors import ConflictError
from entrepot.runtime.errors import DatabaseUnavailableError
from entrepot.web.pages.several import NOT_TRIED, Result, Thing, carried_out

THINGS = [Thing(key, key) for key in ("taken", "done", "down", "last")]


def test_what_was_done_before_the_database_failed_is_told_and_what_comes_after_is_not_tried() -> None:
    asked = []

    async def act(thing: Thing) -> str:
        asked.append(thing.key)
        match thing.key:
            case "taken":
                raise ConflictError("it is taken")
            case "down":
                raise DatabaseUnavailableError("the database does not answer")
        return "is done"

    results, stopped = asyncio.run(carried_out(THINGS, act))

    assert asked == ["taken", "done", "down"]
    assert isinstance(stopped, DatabaseUnavailableError)
    assert results == [
        Result(THINGS[0], "", "it is taken"),
        Result(THINGS[1], "is done", ""),
        Result(THINGS[2], "", "the database does not answer"),
        Result(THINGS[3], "", NOT_TRIED),
    ]


def test_what_one_refuses_stops_no_other() -> None:
    async def act(thing: Thing) -> str:
        if thing.key == "taken":
            raise ConflictError("it is taken")
        return "is done"

    results, stopped = asyncio.run(carried_out(THINGS, act))

    assert stopped is None
    assert [each.refused for each in results] == ["it is taken", "", "", ""]
