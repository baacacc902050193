"""`storage.url` of an object store: which bucket, under which prefix, at which address.

`s3://BUCKET/PREFIX?region=…&endpoint=…`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX?account_name=…`. Credentials come
from the variables and files of each cloud's own tools, or from options of the URL, which is a secret as a whole.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from entrepot.errors import InvalidError

FIELD: Final = "storage.url"
SCHEMES: Final = frozenset({"s3", "gs", "az"})
CLIENT_OPTIONS: Final = frozenset({"allow_http", "allow_invalid_certificates", "proxy_url", "timeout"})
ALIASES: Final = {"virtual_hosted_style": "virtual_hosted_style_request"}
BOOLEANS: Final = {"true": True, "false": False}
# Each request is tried again with jitter, but no longer than a client waits: then it hears 503, and comes back.
RETRY: Final[Any] = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=15),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=3), "base": 2},
}
CONNECT_TIMEOUT: Final = timedelta(seconds=5)
REQUEST_TIMEOUT: Final = timedelta(seconds=60)
# A body that a slow client reads takes as long as it takes; each of its pieces has a time-out of its own.
STREAM_TIMEOUT: Final = timedelta(hours=24)

CloudStore = S3Store | GCSStore | AzureStore


@dataclass(frozen=True, slots=True)
class Clients:
    """Two clients of the same place: *brief* for requests that end within a minute, *long* for bodies that are read.

    endpoint: where they were told to find it, empty where the cloud's own address is used.
    """

    brief: CloudStore
    long: CloudStore
    endpoint: str = ""


def clients(url: str) -> Clients:
    """The clients for *url*. Raises InvalidError, which never repeats the URL."""
    parts = urlsplit(url)
    bucket, prefix = parts.netloc, unquote(parts.path).strip("/")
    if parts.scheme not in SCHEMES or not bucket or "@" in bucket:
        raise InvalidError("write s3://bucket/prefix?region=…, gs://bucket/prefix or az://container/prefix", FIELD)
    options: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT, "timeout": REQUEST_TIMEOUT}
    config: dict[str, Any] = {}
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        value = BOOLEANS.get(text.lower(), text)
        if name in CLIENT_OPTIONS:
            options[name] = value
        else:
            config[ALIASES.get(name, name)] = value
    try:
        return Clients(
            _client(parts.scheme, bucket, prefix, config, options),
            _client(parts.scheme, bucket, prefix, config, options | {"timeout": STREAM_TIMEOUT}),
            str(config.get("endpoint", "")),
        )
    except (BaseError, ValueError, TypeError):
        # The library's own text shows values, and those may be secret.
        known = ", ".join(name for name, _ in parse_qsl(parts.query, keep_blank_values=True)) or "none"
        raise InvalidError(f"the object store's client refuses these options: {known}", FIELD) from None


def _client(scheme: str, place: str, prefix: str, config: Any, options: Any) -> CloudStore:
    common: dict[str, Any] = {"prefix": prefix or None, "client_options": options, "retry_config": RETRY}
    match scheme:
        case "s3":
            return S3Store(place, config=config, **common)
        case "gs":
            return GCSStore(place, config=config, **common)
        case _:
            return AzureStore(place, config=config, **common)
