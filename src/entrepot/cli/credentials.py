"""Saved logins and contexts, in `$XDG_CONFIG_HOME/entrepot/credentials.json`, readable by its owner only.

A login is one token for one server; a context is a name for a server. Of the servers one is in use: that of the last
login, or of the context put to use after it. The file is replaced as a whole, so a reader sees the old one or the new
one. Passwords are never saved: a login keeps the personal token it was exchanged for.
"""

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from entrepot.errors import InvalidError, NotFoundError

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Login:
    """A saved login. insecure: the user agreed to send it over plain HTTP to another machine."""

    url: str
    account: str
    token: str
    expires_at: str
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """A server that has a name; the name is empty for one that a login alone speaks of. insecure: as of a login."""

    name: str
    url: str
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class _State:
    """What the file holds. logins: in the order in which they were made. current: the URL of the server in use."""

    logins: tuple[Login, ...] = ()
    contexts: tuple[Context, ...] = ()
    current: str = ""

    def in_use(self) -> Context | None:
        wanted = self.current or (self.logins[-1].url if self.logins else "")
        named = next((each for each in self.contexts if each.url == wanted), None)
        login = next((each for each in self.logins if each.url == wanted), None)
        if named is None and login is None:
            return None
        insecure = (named is not None and named.insecure) or (login is not None and login.insecure)
        return Context(named.name if named else "", wanted, insecure)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The saved logins and contexts of one file. Each method raises InvalidError for a broken file."""

    path: Path

    @classmethod
    def of_user(cls, environment: Mapping[str, str]) -> "Credentials":
        """Those of the user whose *environment* is given. Spec: XDG Base Directory Specification."""
        home = environment.get("XDG_CONFIG_HOME", "")
        root = Path(home) if Path(home).is_absolute() else Path(environment.get("HOME") or Path.home()) / ".config"
        return cls(root / "entrepot" / "credentials.json")

    def in_use(self) -> Context | None:
        """The server that commands ask if nothing else names one; None if there is none."""
        return self._read().in_use()

    def current(self) -> Login | None:
        """The login at the server in use; None if there is none."""
        state = self._read()
        used = state.in_use()
        return next((login for login in state.logins if used and login.url == used.url), None)

    def of(self, url: str) -> Login | None:
        """The login at *url*; None if there is none."""
        return next((login for login in self._read().logins if login.url == url), None)

    def contexts(self) -> tuple[Context, ...]:
        """Every context, by name."""
        return self._read().contexts

    def save(self, login: Login) -> None:
        """Keep *login* in the place of any other at its URL, whose server is in use from now on. Raises OSError."""
        state = self._read()
        others = tuple(other for other in state.logins if other.url != login.url)
        self._write(replace(state, logins=(*others, login), current=login.url))

    def forget(self, url: str) -> bool:
        """Remove the login at *url*; False if there was none. A context stays in use. Raises OSError."""
        state = self._read()
        left = tuple(login for login in state.logins if login.url != url)
        if len(left) == len(state.logins):
            return False
        stays = state.current != url or any(each.url == url for each in state.contexts)
        self._write(replace(state, logins=left, current=state.current if stays else ""))
        return True

    def add(self, context: Context) -> None:
        """Keep *context* in the place of any other of its name. Raises InvalidError for its name, OSError."""
        if not NAME.match(context.name):
            raise InvalidError("a context's name has 1-64 letters, digits and . _ - between them", "name")
        state = self._read()
        every = {each.name: each for each in (*state.contexts, context)}
        self._write(replace(state, contexts=tuple(every[name] for name in sorted(every))))

    def use(self, name: str) -> Context:
        """Ask the server of the context *name* from now on. Raises NotFoundError, OSError."""
        state = self._read()
        context = _named(state, name)
        self._write(replace(state, current=context.url))
        return context

    def remove(self, name: str) -> None:
        """Forget the context *name*; a login at its server stays. Raises NotFoundError, OSError."""
        state = self._read()
        context = _named(state, name)
        left = tuple(each for each in state.contexts if each != context)
        known = {each.url for each in left} | {each.url for each in state.logins}
        self._write(replace(state, contexts=left, current=state.current if state.current in known else ""))

    def _read(self) -> _State:
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return _State()
        except OSError as error:
            raise InvalidError(f"{self.path} can't be read: {error.strerror}") from None
        try:
            document = json.loads(text)
            return _State(
                tuple(Login(**each) for each in document["logins"]),
                tuple(Context(**each) for each in document.get("contexts", ())),
                str(document.get("current") or ""),
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise InvalidError(f"{self.path} is damaged: delete it and log in again") from None

    def _write(self, state: _State) -> None:
        folder = self.path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        handle, name = tempfile.mkstemp(prefix=".credentials-", dir=folder)  # mkstemp makes it 0600
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(asdict(state), file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
            raise


def _named(state: _State, name: str) -> Context:
    found = next((context for context in state.contexts if context.name == name), None)
    if found is None:
        known = ", ".join(each.name for each in state.contexts)
        raise NotFoundError(f"there is no such context; there are: {known or 'none'}")
    return found
