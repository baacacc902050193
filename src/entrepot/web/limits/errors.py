"""What a client can do wrong before anything of the registry is asked. Spec: RFC 9110, 15.5; RFC 9112."""

from entrepot.errors import InvalidError, LimitError, PreconditionError


class RequestAmbiguousError(InvalidError):
    """A request that two servers could read in two ways: a header twice, a transfer coding besides `chunked`."""


class RequestLineTooLongError(LimitError):
    """A request line over its limit of *limit* bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the request line is longer than the limit of {limit} bytes")
        self.limit = limit


class HeadersTooLargeError(LimitError):
    """Headers over the limit on their bytes or on their number."""


class BodyTooSlowError(LimitError):
    """A body of which, over the time allowed, less came than the least rate asks for."""

    def __init__(self, bytes_per_second: int, seconds: float) -> None:
        super().__init__(f"the body came slower than {bytes_per_second} bytes a second, over {seconds:g} s")


class ReaderTooSlowError(LimitError):
    """A client that took nothing of its answer for *seconds*: it is cut off."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the client took nothing of the answer for {seconds:g} s")


class BodyBrokenError(InvalidError):
    """A body that ended before its length, or whose chunks can't be read."""

    def __init__(self) -> None:
        super().__init__("the body ended too early, or its chunks are not written as they must be")


class TooManyRequestsError(LimitError):
    """More requests at once than there may be, also after a wait for a turn."""

    def __init__(self, waited_seconds: float) -> None:
        again = max(1, round(waited_seconds / 2))
        super().__init__(
            f"too many of your requests at once: no turn came within {waited_seconds:g} s; try again in {again} s"
        )
        self.retry_after_seconds = again


class ConditionRequiredError(PreconditionError):
    """A change without `If-Match`: it could undo what somebody else did meanwhile."""

    def __init__(self) -> None:
        super().__init__("send If-Match with the ETag that reading it gave, or * to change it whatever it is")
