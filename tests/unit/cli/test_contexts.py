"""Contexts: names for servers, and which one is asked."""

import json
import stat
from pathlib import Path

import pytest

from entrepot.cli.client import Client
from entrepot.cli.credentials import Context, Credentials, Login
from entrepot.errors import InvalidError, NotFoundError

LOCAL = Login("http://127.0.0.1:5000", "ada", "ent_pat_local", "2030-01-01T00:00:00Z")
HERE = Context("here", LOCAL.url)
THERE = Context("there", "https://registry.example.org")


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    found = Credentials.of_user({"XDG_CONFIG_HOME": str(tmp_path)})
    found.add(HERE)
    found.add(THERE)
    return found


def asked(tmp_path: Path) -> str:
    """The server that a command asks which names none."""
    return Client.of_user(None, {"XDG_CONFIG_HOME": str(tmp_path)}, insecure=False).http.server.url


def test_a_context_that_was_only_added_is_not_asked(credentials: Credentials) -> None:
    assert (credentials.in_use(), credentials.contexts()) == (None, (HERE, THERE))


def test_the_context_in_use_is_asked_logged_in_or_not(credentials: Credentials, tmp_path: Path) -> None:
    credentials.save(LOCAL)
    credentials.use("there")

    assert (credentials.in_use(), credentials.current(), asked(tmp_path)) == (THERE, None, THERE.url)


def test_a_login_puts_its_server_to_use_and_its_end_leaves_the_context(credentials: Credentials) -> None:
    credentials.use("there")
    credentials.save(LOCAL)
    assert (credentials.in_use(), credentials.current()) == (HERE, LOCAL)

    assert credentials.forget(LOCAL.url)
    assert (credentials.in_use(), credentials.current()) == (HERE, None)


def test_a_removed_context_is_not_asked_unless_somebody_is_logged_in_there(credentials: Credentials) -> None:
    credentials.use("there")
    credentials.remove("there")
    assert credentials.in_use() is None

    credentials.save(LOCAL)
    credentials.remove("here")
    assert credentials.in_use() == Context("", LOCAL.url)


def test_a_second_context_of_a_name_takes_the_place_of_the_first(credentials: Credentials) -> None:
    again = Context("here", "http://10.0.0.7:5000", insecure=True)
    credentials.add(again)

    assert credentials.contexts() == (again, THERE)


def test_consent_to_plain_http_is_kept_with_the_context(credentials: Credentials, tmp_path: Path) -> None:
    credentials.add(Context("plain", "http://10.0.0.7:5000", insecure=True))
    credentials.use("plain")

    assert asked(tmp_path) == "http://10.0.0.7:5000"


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "a" * 65, "a\n"])
def test_a_name_is_one_that_can_be_typed(credentials: Credentials, name: str) -> None:
    with pytest.raises(InvalidError):
        credentials.add(Context(name, HERE.url))


def test_a_context_that_is_not_there_is_told_with_those_that_are(credentials: Credentials) -> None:
    for act in (credentials.use, credentials.remove):
        with pytest.raises(NotFoundError, match="there are: here, there"):
            act("her")


def test_contexts_are_readable_by_their_owner_only(credentials: Credentials) -> None:
    assert stat.S_IMODE(credentials.path.stat().st_mode) == 0o600


def test_a_file_of_logins_alone_is_read_and_its_last_login_is_in_use(credentials: Credentials) -> None:
    credentials.path.write_text(
        json.dumps({"logins": [{"url": LOCAL.url, "account": "a", "token": "t", "expires_at": ""}]})
    )

    assert credentials.in_use() == Context("", LOCAL.url)
