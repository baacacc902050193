"""Under which name a breach of a limit is counted (`entrepot_limit_breaches_total`)."""

from collections.abc import Mapping
from typing import Final

from entrepot.access import errors as access
from entrepot.content import errors as content
from entrepot.errors import EntrepotError, LimitError
from entrepot.web.limits import errors

BREACHES: Final[Mapping[type[EntrepotError], str]] = {
    errors.RequestAmbiguousError: "framing",
    errors.BodyBrokenError: "framing",
    errors.RequestLineTooLongError: "request_line",
    errors.HeadersTooLargeError: "headers",
    errors.BodyTooSlowError: "body_rate",
    errors.ReaderTooSlowError: "send",
    errors.TooManyRequestsError: "in_flight",
    content.BodyTooLargeError: "body_size",
    access.LoginBusyError: "passwords",
    access.LoginDelayedError: "log_in",
    LimitError: "other",
}


def breach(error: type[EntrepotError]) -> str | None:
    """The name of the limit that errors of this class are a breach of; None if it is none."""
    return next((BREACHES[kind] for kind in error.__mro__ if kind in BREACHES), None)
