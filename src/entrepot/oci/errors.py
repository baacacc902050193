"""What can be wrong with names, digests and documents of the OCI specifications."""

from entrepot.errors import InvalidError


class DigestInvalidError(InvalidError):
    """A text that is no digest, or bytes that have another one. Code: DIGEST_INVALID."""


class NameInvalidError(InvalidError):
    """A text that names no repository. Code: NAME_INVALID."""


class TagInvalidError(InvalidError):
    """A text that is no tag. Code: MANIFEST_INVALID, for the specification has none of its own."""


class ManifestInvalidError(InvalidError):
    """A document that is no manifest we accept. Code: MANIFEST_INVALID."""


class SizeInvalidError(InvalidError):
    """A length that is not the one announced. Code: SIZE_INVALID."""


class MediaTypeUnsupportedError(ManifestInvalidError):
    """A manifest type that we do not take; the message says which and why."""
