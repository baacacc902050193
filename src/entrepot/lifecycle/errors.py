"""What can go wrong with stages and promotions."""

from entrepot.errors import ConflictError, DeniedError, InvalidError, NotFoundError


class StageUnknownError(InvalidError):
    """A stage the pipeline does not have, or no move leads there."""


class PromotionInvalidError(InvalidError):
    """A request that names nothing to promote, too much, or one thing twice."""


class PromotionBlockedError(DeniedError):
    """The verdict does not allow it in that stage, or there is none yet: the message says why, and what to do."""


class PromotionRefusedError(DeniedError):
    """Whoever wants to decide a promotion may not: no person, or one who asked for it or pushed it."""


class PromotionUnknownError(NotFoundError):
    """No such promotion, or nothing the caller may see."""

    def __init__(self) -> None:
        super().__init__("no such promotion, or not visible to you; see: entrepot promote list")


class PromotionOverError(ConflictError):
    """A promotion that is decided already, or was asked for more than 14 days ago."""


class NothingBeforeError(ConflictError):
    """A tag that named nothing else before: there is nothing to roll back to."""

    def __init__(self, repository: str, tag: str) -> None:
        super().__init__(f"{repository}:{tag} named nothing else before; see: entrepot tag history {repository} {tag}")
