"""Rows of the audit log: whatever a client sends fits the columns, and a secret has no place in them."""

import json
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import String

from entrepot.access.accounts import AccountCreated, SecretCreated
from entrepot.audit.model import AccessDenied, SignInFailed
from entrepot.audit.store import SpooledRow, row_of, row_of_pull
from entrepot.audit.tables import audit_event
from entrepot.runtime.events.model import SYSTEM, Actor, Event

AT = datetime(2030, 1, 1, tzinfo=UTC)


def below(kind: type[Event]) -> list[type[Event]]:
    return [each for sub in kind.__subclasses__() for each in (sub, *below(sub))]


def test_a_row_has_every_column_and_no_other() -> None:
    assert set(row_of(SYSTEM, AccessDenied(method="GET", path="/v2/", code="DENIED"), AT)) == set(audit_event.c.keys())


def test_a_spooled_row_has_the_columns_in_their_order_and_says_the_same() -> None:
    by = Actor("shop+ci", "robot", None, "01M8", "192.0.2.1", "podman/4", "01M9")
    line = ("shop+ci", "robot", "01M8", "192.0.2.1", "podman/4", "01M9")

    row = row_of_pull("01M7", AT.timestamp(), line, "manifest.pulled", ("shop/web", "v1", "sha256:ab"), "why")

    assert SpooledRow._fields == tuple(column.name for column in audit_event.columns)
    event = AccessDenied(
        project="shop", repository="shop/web", reference="v1", digest="sha256:ab", reason="why", method="GET", path="/",
        code="X",
    )  # fmt: skip
    pull = {"id": "01M7", "at": int(AT.timestamp()) * 1_000_000, "action": "manifest.pulled", "detail": "{}"}
    assert row._asdict() == row_of(by, event, AT) | pull


def test_who_what_and_how_it_ended_stand_in_their_columns() -> None:
    by = Actor("shop+ci", "robot", 7, "01M8", "192.0.2.1", "podman/4", "01M9")
    event = AccessDenied(
        project="shop", repository="shop/web", reference="v1", outcome="denied", reason="no", method="GET",
        path="/v2/shop/web/manifests/v1", code="DENIED",
    )  # fmt: skip

    row = row_of(by, event, AT)

    assert (row["actor"], row["actor_kind"], row["credential"]) == ("shop+ci", "robot", "01M8")
    assert (row["action"], row["outcome"], row["reason"]) == ("access.denied", "denied", "no")
    assert (row["project"], row["repository"], row["reference"]) == ("shop", "shop/web", "v1")
    assert (row["source_ip"], row["user_agent"], row["request_id"], row["at"]) == ("192.0.2.1", "podman/4", "01M9", AT)
    assert json.loads(row["detail"]) == {"method": "GET", "path": "/v2/shop/web/manifests/v1", "code": "DENIED"}


def test_ids_follow_the_order_of_events() -> None:
    rows = [row_of(SYSTEM, SignInFailed(account="x", path="/"), AT)["id"] for _ in range(100)]

    assert rows == sorted(set(rows))


@pytest.mark.parametrize("kind", [AccountCreated, SecretCreated, AccessDenied, SignInFailed])
def test_no_event_of_access_has_a_field_for_a_secret(kind: type[Event]) -> None:
    names = {field.name for field in fields(kind)}

    assert not names & {"password", "token", "text", "hmac", "authorization"}


def test_actions_are_named_noun_and_verb_and_each_once() -> None:
    import entrepot.wiring  # noqa: F401, PLC0415  brings every event along

    # A dataclass with slots is made twice: one name, one event.
    kinds = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in below(Event)}
    actions = [kind.ACTION for name, kind in kinds.items() if name.startswith("entrepot.") and kind.ACTION]

    assert len(actions) == len(set(actions)) > 15
    for action in actions:
        noun, _, verb = action.partition(".")
        assert noun.isidentifier(), action
        assert verb.isidentifier(), action
        assert len(action) <= 64


LONG = "é" * 5000
texts = st.one_of(st.text(max_size=80), st.just(LONG))


@example(*[LONG] * 8)
@given(texts, texts, texts, texts, texts, texts, texts, texts)
def test_any_text_fits(a: str, b: str, c: str, d: str, e: str, f: str, g: str, h: str) -> None:
    by = Actor(a, "robot", 1, b, c, d, e)
    event = AccessDenied(
        project=f, repository=g, reference=h, digest=a, outcome="denied", reason=b, method="GET", path=c, code="X"
    )

    row: dict[str, Any] = row_of(by, event, AT)

    for column in audit_event.c:
        if isinstance(column.type, String) and column.type.length:
            assert len(row[column.name]) <= column.type.length, column.name
    assert len(row["reason"]) <= 1000
    json.loads(row["detail"])
