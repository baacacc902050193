"""One HTTP request after another to one server, over urllib3: what the API client and the registry client share.

Invariant: credentials leave this machine encrypted, or the user said `--insecure`. It holds because every client is
made from a `Server`, and `Server.parse` is the only check there is; redirects are not followed.
"""

import ipaddress
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

from entrepot.errors import DeniedError, InvalidError, UnavailableError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 60
NO_ADDRESS: Final = "not a server's address: write https://host or https://host:port"
PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Server:
    """A server's address, `scheme://host[:port]`, which may be sent credentials."""

    url: str
    insecure: bool

    @classmethod
    def parse(cls, text: str, *, insecure: bool) -> "Server":
        """The server at *text*; a bare host is meant as https, this machine as http.

        Raises InvalidError for what is no such address, DeniedError for plain HTTP to another machine unless
        *insecure*.
        """
        try:
            parts = urlsplit(text if "://" in text else f"//{text}", scheme="https")
            host, port = parts.hostname, parts.port
        except ValueError:
            raise InvalidError(NO_ADDRESS, "url") from None
        scheme = "http" if host and "://" not in text and is_loopback(host) else parts.scheme
        if not host or scheme not in PORTS or parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise InvalidError(NO_ADDRESS, "url")
        if "@" in parts.netloc:
            raise InvalidError("an address holds no credentials: use entrepot login or ENTREPOT_USERNAME", "url")
        if scheme == "http" and not insecure and not is_loopback(host):
            raise DeniedError(f"credentials are not sent to {host} over plain HTTP: use https, or allow it: --insecure")
        bracketed = f"[{host}]" if ":" in host else host
        suffix = f":{port}" if port and port != PORTS[scheme] else ""
        return cls(f"{scheme}://{bracketed}{suffix}", insecure)


def basic(username: str, password: str) -> str:
    """The value of an Authorization header. Spec: RFC 7617, 2. Raises InvalidError for a colon in *username*."""
    if ":" in username:
        raise InvalidError("a user name holds no colon", "username")
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


def is_loopback(host: str) -> bool:
    """Whether *host* (a name or an address) is this machine. Spec for names: RFC 6761, 6.3."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Http:
    """A pool of connections to one server. Nothing is retried and no redirect is followed."""

    server: Server
    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = READ_SECONDS
    _pools: "list[PoolManager]" = field(default_factory=list, init=False, repr=False, compare=False)

    def send(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        body: bytes | IO[bytes] | None = None,
        stream: bool = False,
    ) -> "BaseHTTPResponse":
        """The answer to one request, whatever its status.

        target: a path on the server, or an absolute URL of the same server. body: a file is streamed from where it
        stands (its length must be in *headers*). stream: the body is left to be read by the caller, who releases it.
        Raises UnavailableError if the server can't be reached or does not answer in time, DeniedError for a target
        on another server.
        """
        import urllib3  # noqa: PLC0415  40 ms, which --help need not pay
        from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError, SSLError  # noqa: PLC0415

        if not self._pools:
            timeout = urllib3.Timeout(connect=self.connect_seconds, read=self.read_seconds)
            self._pools.append(urllib3.PoolManager(timeout=timeout, retries=False))
        try:
            return self._pools[0].request(
                method,
                self._absolute(target) + _encoded(query),
                body=body,
                headers=dict(headers),
                redirect=False,
                preload_content=not stream,
            )
        except (NewConnectionError, MaxRetryError):
            raise UnavailableError(f"no server answers at {self.server.url}") from None
        except SSLError as error:
            raise UnavailableError(f"{self.server.url}: no secure connection: {error}") from None
        except (HTTPError, OSError) as error:
            raise UnavailableError(f"{self.server.url} gave no answer: {type(error).__name__}") from error

    def _absolute(self, target: str) -> str:
        if target.startswith("/") and not target.startswith("//"):
            return self.server.url + target
        if Server.parse("{0.scheme}://{0.netloc}".format(urlsplit(target)), insecure=True).url != self.server.url:
            raise DeniedError(f"{self.server.url} sends us elsewhere; credentials are for it alone")
        return target


def unchanged_since(answer: "BaseHTTPResponse") -> dict[str, str]:
    """The header by which a change takes place only on what *answer* showed. Spec: RFC 9110, 13.1.1."""
    tag = answer.headers.get("ETag")
    return {} if tag is None else {"If-Match": tag}


def _encoded(query: Mapping[str, str] | None) -> str:
    return "?" + urlencode(query) if query else ""
