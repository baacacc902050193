"""Whose commands these are: the environment of the user who runs one, read here only, and what he keeps."""

import os
from collections.abc import MutableMapping

from entrepot.cli.credentials import Credentials


def environment() -> MutableMapping[str, str]:
    """The variables of this process."""
    return os.environ


def credentials() -> Credentials:
    """The saved logins and contexts of this process's user."""
    return Credentials.of_user(environment())
