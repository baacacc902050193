"""Several things at once: what would become of each is shown first, and done once that was seen.

A list sends the keys of the rows that were chosen to a page made here; its form sends those that can be done back, each
of which is then done by itself, as if it were asked for alone: what one refuses does not stop the others, and is said.
Where the database or the store fails, the rest is not tried.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from entrepot.errors import EntrepotError, InvalidError, UnavailableError
from entrepot.web.errors import answer_for
from entrepot.web.pages.visit import Visit
from entrepot.web.refusals import record

MOST: Final = 50
MAX_KEY: Final = 255
NOT_TRIED: Final = "it was not tried"


@dataclass(frozen=True, slots=True)
class Thing:
    """What was chosen: its key, its name, and the page it has, empty for none."""

    key: str
    name: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What becomes of *thing*. refused: why nothing does, empty if something does."""

    thing: Thing
    says: str
    refused: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before it is done. path: where the answer goes; act: what to do; back: the list it came from.

    lead: what holds for all; asks_why: whether a reason is to be given; is_final: whether nothing takes it back.
    """

    title: str
    button: str
    path: str
    act: str
    back: str
    lead: str = ""
    asks_why: bool = False
    is_final: bool = False


def chosen(visit: Visit) -> list[str]:
    """The keys of the rows that were chosen. Raises InvalidError: none, or more than 50."""
    keys = visit.words("chosen", MAX_KEY)
    if not 1 <= len(keys) <= MOST:
        raise InvalidError(f"choose 1 to {MOST} rows of the list")
    return keys


async def tried(things: Sequence[Thing], attempt: Callable[[Thing], Awaitable[str]]) -> list[Result]:
    """What *attempt* says of each of *things*, or why it is refused. Raises UnavailableError."""
    found = []
    for thing in things:
        try:
            found.append(Result(thing, await attempt(thing), ""))
        except UnavailableError:
            raise
        except EntrepotError as error:
            found.append(Result(thing, "", error.message))
    return found


async def carried_out(
    things: Sequence[Thing], act: Callable[[Thing], Awaitable[str]]
) -> tuple[list[Result], UnavailableError | None]:
    """What *act* said of each of *things*, or why it was refused; and the fault after which the rest was not tried."""
    found: list[Result] = []
    for place, thing in enumerate(things):
        try:
            found += await tried([thing], act)
        except UnavailableError as error:
            rest = [Result(each, "", NOT_TRIED) for each in things[place + 1 :]]
            return [*found, Result(thing, "", error.message), *rest], error
    return found, None


async def done(
    visit: Visit,
    question: Question,
    things: Sequence[Thing],
    act: Callable[[Thing], Awaitable[str]],
    words: Mapping[str, str],
) -> Response:
    """*act* is done to each of *things*, and what became of each is shown.

    If *act* says the same of all, and *words* has a word for it, the list is shown with that word instead.
    """

    async def recorded(thing: Thing) -> str:
        try:
            return await act(thing)
        except EntrepotError as error:
            await record(visit.own, visit.services, error, "", thing.name)
            raise

    results, stopped = await carried_out(things, recorded)
    status = answer_for(stopped).api_status if stopped else 409 if any(each.refused for each in results) else 200
    return told(visit, question, results, words, status)


def told(
    visit: Visit, question: Question, results: Sequence[Result], words: Mapping[str, str], status: int = 200
) -> Response:
    """What became of each, as a page, or by a word on the list: as `done`."""
    said = {each.says for each in results}
    if len(said) == 1 and (word := words.get(said.pop())):
        return visit.go(question.back, word)
    return visit.page("several.html", status, question=question, results=results, is_done=True)


def foreseen(visit: Visit, question: Question, results: Sequence[Result]) -> Response:
    """The page that says what would become of each, and asks for it."""
    return visit.page("several.html", question=question, results=results, is_done=False)
