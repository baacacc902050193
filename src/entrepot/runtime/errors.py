"""What can go wrong in the machinery."""

from entrepot.errors import ConflictError, NotFoundError, UnavailableError


class DatabaseUnavailableError(UnavailableError):
    """The database is locked, full or gone. Whether a commit under way took place is unknown: a retry tells."""


class SchemaOldError(UnavailableError):
    """The database holds the schema of an earlier version, which an operator brings up: `entrepot migrate`."""


class JobUnknownError(NotFoundError):
    """No job of that id."""


class LeaseLostError(ConflictError):
    """The lease is another's by now: what was done under it must not be committed."""
