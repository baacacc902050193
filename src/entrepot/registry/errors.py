"""What the registry itself refuses."""

from entrepot.errors import DeniedError, LimitError, PreconditionError, UnsupportedError


class PolicyBlockedError(DeniedError):
    """The image is judged and blocked; the message says which rule, advisory, package and fix."""


class QuarantinedError(DeniedError):
    """The image is not judged yet, and the project serves judged ones only."""


class ConditionFailedError(PreconditionError):
    """`If-Match` or `If-None-Match` of a manifest PUT does not hold; nothing was changed."""


class TooManyTagsError(LimitError):
    """More than 100 tags in one push of a manifest."""


class TooManyUploadsError(LimitError):
    """A repository or an account (*owner*) has *limit* uploads open, and none of them is idle."""

    retry_after_seconds = 30

    def __init__(self, limit: int, owner: str) -> None:
        super().__init__(f"this {owner} has {limit} uploads open; finish or cancel some, or try again later")
        self.limit = limit
        self.owner = owner


class UnsupportedRequestError(UnsupportedError):
    """A request of the protocol that means nothing here. Code: UNSUPPORTED."""
