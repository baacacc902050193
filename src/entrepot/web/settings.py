"""Settings of the web processes: section `server`."""

import ipaddress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from entrepot.runtime.quantities import GIB, KIB, MIB, Bytes, Count, Duration

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


def _positive(duration: timedelta) -> timedelta:
    if not duration:
        raise ValueError("write a duration above zero")
    return duration


Number = Annotated[int, Field(ge=1, le=1_000_000)]
Time = Annotated[Duration, AfterValidator(_positive)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How large, how slow and how many; one byte or one request more is refused."""

    manifest_bytes: Annotated[Bytes, "Largest manifest."] = 4 * MIB
    blob_bytes: Annotated[Bytes, "Largest blob."] = 50 * GIB
    api_body_bytes: Annotated[Bytes, "Largest body of a management request."] = 1 * MIB
    feed_body_bytes: Annotated[Bytes, "Largest advisory feed that is uploaded."] = 256 * MIB
    uploads_per_repository: Annotated[Number, "Most open uploads into one repository."] = 200
    uploads_per_account: Annotated[Number, "Most open uploads of one account."] = 500
    upload_idle: Annotated[Time, "How long an upload lives without a byte coming."] = timedelta(hours=24)
    request_line_bytes: Annotated[Bytes, "Longest request line."] = 8 * KIB
    header_bytes: Annotated[Bytes, "Largest headers of a request, all together."] = 32 * KIB
    header_count: Annotated[int, Field(ge=1, le=100), "Most headers of a request, at most 100."] = 100
    body_rate_bytes: Annotated[Bytes, "Least bytes a second of a body, over `body_window`."] = 10_000
    body_window: Annotated[Time, "How long a body may stay below `body_rate_bytes`, its first byte too."] = timedelta(
        seconds=30
    )
    send_window: Annotated[Time, "How long a client may take nothing of its answer."] = timedelta(seconds=60)
    idle: Annotated[Time, "How long a connection waits for the headers of its first or next request."] = timedelta(
        seconds=75
    )
    connections: Annotated[Number, "Most connections of a web worker; more wait to be accepted."] = 16_384
    in_flight: Annotated[Number, "Most requests at once of a web worker; turns are fair above 80 % of it."] = 4_096
    in_flight_principal: Annotated[Number, "Most requests at once of one account, on this machine."] = 2_000
    in_flight_address: Annotated[Number, "Most requests at once of one address without login, on this machine."] = 256
    queue: Annotated[Duration, "How long a request over those numbers waits for its turn before it is refused."] = (
        timedelta(seconds=10)
    )


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
