"""Stages of a project: where pushes go, and the places that change by promotion only. Pure.

A pipeline names the stages and the moves between them. Its first stage is where people push; every other one has a
*target*, a place below the project that holds its copies: with `prod/{repository}`, what is pushed as `shop/web` is,
promoted, `shop/prod/web`. Design: policy.md, section 10.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

import msgspec

from entrepot.catalog.errors import PipelineInvalidError
from entrepot.oci.reference import COMPONENT

NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")
TARGET: Final = re.compile(rf"(?P<place>{COMPONENT}(?:/{COMPONENT})*)/\{{repository\}}\Z")
MAX_PLACE: Final = 64
MAX_STAGES: Final = 8
MAX_APPROVALS: Final = 5


class Stage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stage. target: where its copies stand, `<place>/{repository}`; empty for the first, where pushes go."""

    name: str
    target: str = ""

    @property
    def place(self) -> str:
        """The target without the repository: what the names of its copies begin with, below the project."""
        return self.target.removesuffix("/{repository}")


class Move(msgspec.Struct, frozen=True, rename={"source": "from", "target": "to"}):
    """A way from one stage to another, and how many other people have to approve it."""

    source: str
    target: str
    approvals: int = 1


@dataclass(frozen=True, slots=True)
class Position:
    """Where a repository stands: its stage, and its name in the first stage, below the project."""

    stage: Stage
    base: str


class Pipeline(msgspec.Struct, frozen=True):
    """The stages of a project, the first one first, and the moves between them."""

    stages: tuple[Stage, ...]
    moves: tuple[Move, ...]

    def stage(self, name: str) -> Stage | None:
        """The stage called *name*."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def move(self, source: str, target: str) -> Move | None:
        """The move between the two stages, if there is one."""
        return next((move for move in self.moves if (move.source, move.target) == (source, target)), None)

    def position(self, repository: str) -> Position:
        """Where the repository of that whole name stands."""
        rest = repository.partition("/")[2]
        for stage in self.stages[1:]:
            if rest.startswith(f"{stage.place}/"):
                return Position(stage, rest[len(stage.place) + 1 :])
        return Position(self.stages[0], rest)

    def protects(self, repository: str) -> bool:
        """Whether the repository of that whole name changes by promotion only."""
        return self.position(repository).stage != self.stages[0]

    def copy_of(self, repository: str, stage: str) -> str:
        """The whole name of the copy that *stage* has, or would have, of the repository; empty: no such stage."""
        wanted = self.stage(stage)
        if wanted is None:
            return ""
        project, base = repository.partition("/")[0], self.position(repository).base
        return f"{project}/{wanted.place}/{base}" if wanted.target else f"{project}/{base}"


DEFAULT: Final = Pipeline(
    (Stage("development"), Stage("production", "prod/{repository}")), (Move("development", "production"),)
)
"""The pipeline of a project that names none."""


@lru_cache(maxsize=1024)
def read_pipeline(text: str | None) -> Pipeline:
    """The pipeline of a project's row."""
    return DEFAULT if text is None else msgspec.json.decode(text, type=Pipeline)


@lru_cache(maxsize=1024)
def protected_places(text: str | None) -> tuple[tuple[str, str], ...]:
    """Of the pipeline of a project's row: each place that changes by promotion only, and its stage's name."""
    return tuple((stage.place, stage.name) for stage in read_pipeline(text).stages[1:])


def check_pipeline(pipeline: Pipeline) -> None:
    """Raises PipelineInvalidError with each thing that is wrong."""
    wrong = [*_wrong_stages(pipeline.stages), *_wrong_moves(pipeline)]
    if wrong:
        raise PipelineInvalidError(wrong)


def _wrong_stages(stages: Sequence[Stage]) -> Iterator[str]:
    names = [stage.name for stage in stages]
    if not 1 <= len(names) <= MAX_STAGES:
        yield f"a pipeline has 1 to {MAX_STAGES} stages"
    yield from (f"{name!a} is no name of a stage: a-z, 0-9 and -, up to 32" for name in names if not NAME.match(name))
    if len(set(names)) < len(names):
        yield "two stages have the same name"
    if stages and stages[0].target:
        yield "the first stage is where pushes go: it has no target"
    for stage in stages[1:]:
        if not TARGET.match(stage.target) or len(stage.place) > MAX_PLACE:
            yield f'the target of {stage.name!a} must be like "prod/{{repository}}"'
    places = sorted(f"{stage.place}/" for stage in stages[1:])
    yield from (f"{one} is inside {two}" for two, one in pairwise(places) if one.startswith(two))


def _wrong_moves(pipeline: Pipeline) -> Iterator[str]:
    names = [stage.name for stage in pipeline.stages]
    ways = [(move.source, move.target) for move in pipeline.moves]
    if len(set(ways)) < len(ways):
        yield "two moves go the same way"
    for way in ways:
        yield from (f"a move names {name!a}, which is no stage" for name in way if name not in names)
        if way[0] == way[1] or way[1] in names[:1]:
            yield f"nothing moves from {way[0]!a} to {way[1]!a}"
    if any(not 0 <= move.approvals <= MAX_APPROVALS for move in pipeline.moves):
        yield f"a move takes 0 to {MAX_APPROVALS} approvals"
