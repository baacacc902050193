"""Revoked secrets: known at once here, and never forgotten while a token made with one may live."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from entrepot.access.errors import TokenInvalidError
from entrepot.access.hot import AccessReads, AccessStatements
from entrepot.access.issue import IssueToken
from entrepot.access.keys import load_keys, make_keys
from entrepot.access.model import Grant, Principal, Project, Role
from entrepot.access.revocations import CLOCKS_DIFFER, Revocations
from entrepot.access.scopes import Scope, Scopes
from entrepot.access.tokens import Tokens
from entrepot.clock import FixedClock
from entrepot.runtime.events.model import Actor
from entrepot.runtime.hot import Row, Statement, T, Value

LIFE = timedelta(seconds=300)
NOTHING = Statement("")


@dataclass
class MemoryReader:
    """Knows which ids were revoked when; while it answers, *meanwhile* happens."""

    revoked: dict[str, datetime] = field(default_factory=dict)
    meanwhile: Any = None

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def one(self, statement: Statement, values: Mapping[str, Value]) -> tuple[Any, ...] | None:
        raise AssertionError((statement, values))

    async def found(self, statement: Statement, values: Mapping[str, Value], make: Callable[[Row], T]) -> T | None:
        raise AssertionError((statement, values, make))

    async def all(self, statement: Statement, values: Mapping[str, Value]) -> list[tuple[Any, ...]]:
        del statement
        since = values["since"]
        assert isinstance(since, int)
        found = [(id_,) for id_, at in self.revoked.items() if at.timestamp() * 1e6 > since]
        if self.meanwhile is not None:
            self.meanwhile()
        return found


def revocations(reader: MemoryReader) -> Revocations:
    return Revocations(AccessReads(reader, AccessStatements(NOTHING, NOTHING, NOTHING, NOTHING)), FixedClock(), LIFE)


async def test_what_others_revoked_is_known_after_a_look_as_long_as_a_token_may_live() -> None:
    now = FixedClock().now()
    oldest = now - LIFE - CLOCKS_DIFFER
    moments = {"new": now, "old": oldest + timedelta(seconds=1), "over": oldest - timedelta(seconds=1)}
    known = revocations(MemoryReader(moments))
    assert "new" not in known

    await known.refresh()

    assert [id_ for id_ in moments if id_ in known] == ["new", "old"]
    assert "" not in known


async def test_what_is_revoked_while_the_database_is_asked_is_not_lost() -> None:
    reader = MemoryReader()
    known = revocations(reader)
    reader.meanwhile = lambda: known.add(frozenset({"now"}))

    await known.refresh()

    assert "now" in known


async def test_a_token_ends_with_its_secret_also_when_it_was_seen_before(tmp_path: Path) -> None:
    make_keys(tmp_path)
    known = revocations(MemoryReader())
    tokens = Tokens(load_keys(tmp_path), "registry.example", FixedClock(), known)

    class Shop:
        async def project(self, name: str) -> Project:
            return Project(1, name)

    class Nowhere:
        def signed_in(self, by: Actor, surface: str) -> None:
            del by, surface

    issue = IssueToken(Shop(), tokens, FixedClock(), Nowhere(), LIFE)
    actor = Actor("shop+ci", "robot", 7, "SECRET1")
    scopes = Scopes((Scope("shop/web", ("pull", "push", "delete")),), catalog=True)
    issued = await issue(Principal(actor, (Grant(Role.DEVELOPER, 1),)), scopes)
    token = issued.text
    seen = tokens.principal(token, "192.0.2.1", "", "")

    assert (seen.actor.name, seen.actor.credential, seen.actor.source_ip) == ("shop+ci", "SECRET1", "192.0.2.1")
    assert seen.access == {"shop/web": frozenset({"pull", "push"})}
    assert (seen.public, seen.catalog) == (frozenset(), True)
    assert seen.denied == {("shop/web", "delete"): "roles:developer"}
    assert issued.cut
    known.add(frozenset({"SECRET1"}))
    with pytest.raises(TokenInvalidError, match="revoked"):
        tokens.principal(token, "", "", "")
