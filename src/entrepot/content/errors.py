"""What can go wrong with bytes."""

from entrepot.errors import ConflictError, InvalidError, LimitError, NotFoundError, UnavailableError


class UploadUnknownError(NotFoundError):
    """No such upload: it never was, has ended, or is too old. Code: BLOB_UPLOAD_UNKNOWN."""


class RangeInvalidError(ConflictError):
    """A chunk that does not begin where the upload stands. *offset*: bytes the upload holds; *epoch*: its latest."""

    def __init__(self, message: str, offset: int, epoch: int) -> None:
        super().__init__(message)
        self.offset = offset
        self.epoch = epoch


class RangeNotSatisfiableError(ConflictError):
    """A range outside the content, which has *size* bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the content has {size} bytes, the range lies outside")
        self.size = size


class BodyTooLargeError(LimitError):
    """A body over its limit of *limit* bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than the limit of {limit} bytes")
        self.limit = limit


class StorageUnavailableError(UnavailableError):
    """The store can't take or give bytes now: full, read-only or failing."""


class CopySuspectError(NotFoundError):
    """A copy that is missing or not as long as recorded; it is never served. *key* names it."""

    def __init__(self, key: str) -> None:
        super().__init__("the content is damaged here; push it again to heal it")
        self.key = key


class ChunksExhaustedError(InvalidError):
    """An upload in more than 10,240 chunks (*limit*), on an object store."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"an upload has at most {limit} chunks here: send larger ones", "Content-Range")


class AlgorithmUnknownError(InvalidError):
    """A `digest-algorithm` other than `sha256` and `sha512`."""
