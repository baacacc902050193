"""Several things at once: what would become of each is shown first, and done once that was seen.

A list sends the keys of the rows that were chosen to a page made here; its form sends those that can be done back, each
of which is then done by itself, as if it were asked for alone: what one refuses does not stop the others, and is said.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from entrepot.errors import EntrepotError, InvalidError, UnavailableError
from entrepot.web.pages.visit import Visit
from entrepot.web.refusals import record

MOST: Final = 50
MAX_KEY: Final = 255


@dataclass(frozen=True, slots=True)
class Thing:
    """What was chosen: its key, its name, and the page it has, empty for none."""

    key: str
    name: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
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


async def tried(things: Sequence[Thing], attempt: Callable[[Thing], Awaitable[str]]) -> list[Outcome]:
    """What *attempt* says of each of *things*, or why it is refused. Raises UnavailableError."""
    found = []
    for thing in things:
        try:
            found.append(Outcome(thing, await attempt(thing), ""))
        except UnavailableError:
            raise
        except EntrepotError as error:
            found.append(Outcome(thing, "", error.message))
    return found


async def done(
    visit: Visit, question: Question, things: Sequence[Thing], act: Callable[[Thing], Awaitable[str]], word: str
) -> Response:
    """*act* is done to each of *things*: back to the list, which says *word*, or a page of what was refused."""

    async def recorded(thing: Thing) -> str:
        try:
            return await act(thing)
        except EntrepotError as error:
            await record(visit.own, visit.services, error, "", thing.name)
            raise

    outcomes = await tried(things, recorded)
    if not any(each.refused for each in outcomes):
        return visit.go(question.back, word)
    return visit.page("several.html", 409, question=question, outcomes=outcomes, is_done=True)


def foreseen(visit: Visit, question: Question, outcomes: Sequence[Outcome]) -> Response:
    """The page that says what would become of each, and asks for it."""
    return visit.page("several.html", question=question, outcomes=outcomes, is_done=False)
