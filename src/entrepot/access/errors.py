"""What can go wrong with identities and rights."""

from math import ceil

from entrepot.errors import ConflictError, DeniedError, InvalidError, LimitError, NotFoundError, UnauthenticatedError


class CredentialsInvalidError(UnauthenticatedError):
    """A name and secret that do not belong together, or a secret that has ended. *account*: the name tried."""

    def __init__(self, message: str, account: str = "") -> None:
        super().__init__(message)
        self.account = account


class TokenInvalidError(UnauthenticatedError):
    """A registry token that is not ours, altered or expired."""


class LoginRequiredError(UnauthenticatedError):
    """No credential was sent."""


class InsufficientScopeError(UnauthenticatedError):
    """A registry token that never asked for what it now needs: the client asks again. *scope*: what to ask for."""

    def __init__(self, scope: str) -> None:
        super().__init__("the token does not cover this; ask for one with the scope in the challenge")
        self.scope = scope


class PermissionDeniedError(DeniedError):
    """Known who asks, and the right is missing. *permission*: which one."""

    def __init__(self, message: str, permission: str) -> None:
        super().__init__(message)
        self.permission = permission


class StageProtectedError(DeniedError):
    """A push, or another change of a tag, where tags change by promotion only: the message has the command."""

    def __init__(self, repository: str, source: str, stage: str) -> None:
        super().__init__(
            f'{repository} is in stage "{stage}", where tags change by promotion only: push {source}, '
            f"then: entrepot promote request {source}:TAG {stage}"
        )


class AccountExistsError(ConflictError):
    """An account of that name is there already."""


class CredentialUnknownError(NotFoundError):
    """No such robot or personal token, or it is deleted already."""


class AccountUnknownError(NotFoundError):
    """No person of that name, or he is disabled, or no member."""

    def __init__(self) -> None:
        super().__init__("there is no person of that name, or the account is disabled")


class LastAdminError(ConflictError):
    """Without this one nobody would be an admin of the site."""

    def __init__(self) -> None:
        super().__init__("this is the last admin of the site: give another person the role first")


class PasswordWeakError(InvalidError):
    """A password under 12 characters, over 256, or easy to guess."""


class AccountNameInvalidError(InvalidError):
    """A name no account can have."""


class ScopeInvalidError(InvalidError):
    """A token request that can't be read."""


class LoginBusyError(LimitError):
    """More passwords to check than can wait."""

    retry_after_seconds = 2


class LoginDelayedError(LimitError):
    """Wrong passwords were tried for this account, from this network, and the wait after them is not over."""

    def __init__(self, seconds: float) -> None:
        whole = ceil(seconds)
        super().__init__(f"wrong passwords were tried for this account from your network: try again in {whole} s")
        self.retry_after_seconds = whole


class ProjectHiddenError(NotFoundError):
    """No such project, or the caller may not know of it: one text for both."""

    def __init__(self) -> None:
        super().__init__("no such project, or not visible to you")
