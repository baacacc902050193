"""What can go wrong in the machinery."""

from entrepot.errors import ConflictError, NotFoundError, PreconditionError, UnavailableError


class DatabaseUnavailableError(UnavailableError):
    """The database is locked, full or gone. Whether a commit under way took place is unknown: a retry tells."""


class SchemaOldError(UnavailableError):
    """The database holds the schema of an earlier version, which an operator brings up: `entrepot migrate`."""


class JobUnknownError(NotFoundError):
    """No job of that id."""


class LeaseLostError(ConflictError):
    """The lease is another's by now: what was done under it must not be committed."""


class StaleError(PreconditionError):
    """What is to be changed is not what the caller saw (`If-Match`); nothing was changed."""

    def __init__(self) -> None:
        super().__init__("it was changed since you read it: read it again, then change it")


class KeyReusedError(ConflictError):
    """An `Idempotency-Key` that was sent with another request within a day."""

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key belongs to another request: send a new one")


class KeyBusyError(ConflictError):
    """The request with this `Idempotency-Key` is still being carried out; `Retry-After` says when to ask again."""

    retry_after_seconds = 1

    def __init__(self) -> None:
        super().__init__("the request with this Idempotency-Key is still being carried out: ask again")


class AnswerLostError(ConflictError):
    """The request with this `Idempotency-Key` was done, and its answer lost with the process that made it."""

    def __init__(self) -> None:
        super().__init__("the request was done, and its answer was lost in a crash: look at what it made")


class AnswerWithheldError(ConflictError):
    """The request with this `Idempotency-Key` was done, and its answer is secret or too long to be given twice."""
