"""The nine kinds of failure.

Every error of Entrepot is one of these kinds. An error carries data, ends in `Error`, and knows nothing of
HTTP: `web/errors.py` gives each one its status, once.
"""


class EntrepotError(Exception):
    """What can go wrong and is understood. *message* is one line, fit for a client: it holds no secret."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidError(EntrepotError):
    """The caller's input breaks a rule. *field* names it as a JSON pointer or parameter name, if one is to blame."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class NotFoundError(EntrepotError):
    """No such thing, or not visible to the caller."""


class ConflictError(EntrepotError):
    """The state of the thing does not allow it."""


class PreconditionError(EntrepotError):
    """The caller's own condition (`If-Match`) does not hold."""


class DeniedError(EntrepotError):
    """Known who asks, and not allowed. The message says why and what to do."""


class UnauthenticatedError(EntrepotError):
    """Not known who asks."""


class LimitError(EntrepotError):
    """A limit on size, number or rate was passed. *retry_after_seconds*: when it may be free again."""

    retry_after_seconds: int | None = None


class UnsupportedError(EntrepotError):
    """Understood, but not offered here."""


class UnavailableError(EntrepotError):
    """A part that is needed does not answer now; a retry may succeed."""

    retry_after_seconds = 2
