"""The registry's own keys: one that signs registry tokens, one that hashes stored secrets.

They lie in files of the data folder that only its owner can read, never in the database: a stolen dump opens nothing.
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey

from entrepot.errors import InvalidError

TOKEN_KEY: Final = "token-signing.pem"  # noqa: S105  a file name
HMAC_KEY: Final = "secret-hmac.key"
MIN_HMAC_BYTES: Final = 32


class KeyInvalidError(InvalidError):
    """A key file that others can read, or that is too short or broken. The message names the file."""


@dataclass(frozen=True, slots=True)
class Keys:
    """token: signs and verifies by ES256 (RFC 7518, 3.4). hmac: at least 256 bits."""

    token: ECKey
    hmac: bytes


def make_keys(folder: Path) -> None:
    """Creates the keys that are not there yet, readable by their owner only."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sync_folder(folder.parent)
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for name, content in ((TOKEN_KEY, pem), (HMAC_KEY, secrets.token_bytes(MIN_HMAC_BYTES))):
        if not (folder / name).exists():
            write_private(folder / name, content)


def load_keys(folder: Path) -> Keys:
    """The keys of *folder*. Raises KeyInvalidError."""
    pem, hmac_key = _read_private(folder / TOKEN_KEY), _read_private(folder / HMAC_KEY)
    if len(hmac_key) < MIN_HMAC_BYTES:
        raise KeyInvalidError(f"{HMAC_KEY} is shorter than {MIN_HMAC_BYTES} bytes")
    try:
        key = ECKey.import_key(pem.decode())
    except ValueError as error:
        raise KeyInvalidError(f"{TOKEN_KEY} holds no P-256 key") from error
    key.ensure_kid()
    return Keys(key, hmac_key)


def write_private(path: Path, content: bytes) -> None:
    """The file *path* with *content*, synced, its name too, for its owner's eyes only (0600), replaced as a whole.

    Secrets in the database are worth nothing without the key they were hashed with, so it must not be lost after them.
    """
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.rename(path)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_private(path: Path) -> bytes:
    try:
        if path.stat().st_mode & 0o077:
            raise KeyInvalidError(f"{path.name} can be read by others: chmod 600 it")
        return path.read_bytes()
    except OSError as error:
        raise KeyInvalidError(f"{path.name} can't be read; it is made at the first start") from error
