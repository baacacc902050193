"""Settings of the web processes: section `server`."""

import ipaddress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator

from entrepot.runtime.quantities import GIB, MIB, Bytes, Count, Duration

LISTEN_FORM: Final = "write an IP address and a port, such as 127.0.0.1:5000 or [::1]:5000"
URL_FORM: Final = "write scheme and host without a path, such as https://registry.example.org"


def parse_listen(text: str) -> tuple[str, int]:
    """The IP address (without brackets) and the port in `address:port`; `localhost` is 127.0.0.1. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
    except ValueError:
        raise ValueError(LISTEN_FORM) from None
    if not colon or bracketed != (address.version == 6) or not (port.isascii() and port.isdigit()):
        raise ValueError(LISTEN_FORM)
    if len(port) > 5 or int(port) > 65535:
        raise ValueError(LISTEN_FORM)
    return str(address), int(port)


def format_listen(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets: what `parse_listen` reads."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listen(text: str) -> str:
    return format_listen(*parse_listen(text))


def _external_url(text: str) -> str:
    if not text:
        return text
    parts = urlsplit(text)
    plain = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not plain:
        raise ValueError(URL_FORM)
    return text.rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The largest bodies that are read; one byte more is answered 413."""

    manifest_bytes: Annotated[Bytes, "Largest manifest."] = 4 * MIB
    blob_bytes: Annotated[Bytes, "Largest blob."] = 50 * GIB
    api_body_bytes: Annotated[Bytes, "Largest body of a management request."] = 1 * MIB
    feed_body_bytes: Annotated[Bytes, "Largest advisory feed that is uploaded."] = 256 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where and how the web workers answer."""

    listen: Annotated[
        str, AfterValidator(_listen), "IP address and port of the web workers; port 0 takes a free one."
    ] = "127.0.0.1:5000"
    external_url: Annotated[
        str, AfterValidator(_external_url), "The address clients use, where it is not that of `listen`."
    ] = ""
    web_workers: Annotated[Count, "Number of web worker processes; 0: one per core."] = 0
    drain: Annotated[Duration, "At a stop: how long requests are still taken while /readyz answers 503."] = timedelta(
        seconds=10
    )
    body_drain: Annotated[Duration, "At a stop, after `drain`: how long open requests may take to finish."] = timedelta(
        seconds=300
    )
    limits: Limits = field(default=Limits())
