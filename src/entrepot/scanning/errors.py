"""What can go wrong while packages, versions and advisories are read."""

from entrepot.errors import ConflictError, InvalidError, NotFoundError, UnavailableError


class VersionMalformedError(InvalidError):
    """A text that is no version in its ecosystem: it can't be compared, which is never "not affected"."""


class FeedInvalidError(InvalidError):
    """A feed that can't be taken: unknown form, broken record, or too many of them. *field* says which line."""


class FeedRefusedError(ConflictError):
    """A feed that would make us know less: older than the one we have, or much smaller."""


class ScanUnknownError(NotFoundError):
    """No analysis of that digest is known."""


class AnalyserError(UnavailableError):
    """The analyser child crashed, ran out of time or of memory. *reason*: `crash`, `timeout`, `output`,
    or `cancelled` by who asked.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
