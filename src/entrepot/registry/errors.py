"""What the registry itself refuses."""

from entrepot.errors import DeniedError, UnsupportedError


class PolicyBlockedError(DeniedError):
    """The image is judged and blocked; the message is the refusal of product.md 5, in one line."""


class QuarantinedError(DeniedError):
    """The image is not judged yet, and the project serves judged ones only."""


class UnsupportedRequestError(UnsupportedError):
    """A request of the protocol that means nothing here. Code: UNSUPPORTED."""
