"""Saved logins: one token per server, in `$XDG_CONFIG_HOME/entrepot/credentials.json`, readable by its owner only.

The file is replaced as a whole, so a reader sees the old one or the new one. Passwords are never saved: a login keeps
the personal token it was exchanged for.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from entrepot.errors import InvalidError


@dataclass(frozen=True, slots=True)
class Login:
    """A saved login. insecure: the user agreed to send it over plain HTTP to another machine."""

    url: str
    account: str
    token: str
    expires_at: str
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """The saved logins of one file. *current* is the server of the last login."""

    path: Path

    @classmethod
    def of_user(cls, environment: Mapping[str, str]) -> "Credentials":
        """Those of the user whose *environment* is given. Spec: XDG Base Directory Specification."""
        home = environment.get("XDG_CONFIG_HOME", "")
        root = Path(home) if Path(home).is_absolute() else Path(environment.get("HOME") or Path.home()) / ".config"
        return cls(root / "entrepot" / "credentials.json")

    def current(self) -> Login | None:
        """The login made last and not ended; None if there is none. Raises InvalidError for a broken file."""
        logins = self._read()
        return logins[-1] if logins else None

    def of(self, url: str) -> Login | None:
        """The login at *url*; None if there is none. Raises InvalidError for a broken file."""
        return next((login for login in self._read() if login.url == url), None)

    def save(self, login: Login) -> None:
        """Keep *login* and make it current, in the place of any other at its URL. Raises InvalidError, OSError."""
        self._write([*(other for other in self._read() if other.url != login.url), login])

    def forget(self, url: str) -> bool:
        """Remove the login at *url*; False if there was none. Raises InvalidError, OSError."""
        before = self._read()
        after = [login for login in before if login.url != url]
        if len(after) < len(before):
            self._write(after)
        return len(after) < len(before)

    def _read(self) -> list[Login]:
        """In the order in which they were made."""
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InvalidError(f"{self.path} can't be read: {error.strerror}") from None
        try:
            return [Login(**each) for each in json.loads(text)["logins"]]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise InvalidError(f"{self.path} is damaged: delete it and log in again") from None

    def _write(self, logins: list[Login]) -> None:
        folder = self.path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        handle, name = tempfile.mkstemp(prefix=".credentials-", dir=folder)  # mkstemp makes it 0600
        try:
            with os.fdopen(handle, "w") as file:
                json.dump({"logins": [asdict(login) for login in logins]}, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
            raise
