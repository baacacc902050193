"""Puts refusals and failed sign-ins of both faces into the audit log, before they are answered."""

from entrepot.access.errors import CredentialsInvalidError
from entrepot.audit.denials import Refusal
from entrepot.errors import DeniedError, EntrepotError
from entrepot.web.errors import answer_for
from entrepot.web.request import Request
from entrepot.web.services import Services


async def record(request: Request, services: Services, error: EntrepotError, name: str, reference: str) -> None:
    """Notes *error* for the count, and records it if it is a refusal.

    *name*, *reference*: the repository and what was asked of it, if any; without, what the request noted itself.

    What was answered is in the log when this returns. Raises DatabaseUnavailableError.
    """
    request.error = type(error)
    if isinstance(error, CredentialsInvalidError):
        await services.denials.sign_in_failed(request.actor(), error.account, request.path, error.message)
    elif isinstance(error, DeniedError):
        actor = request.principal.actor if request.principal is not None else request.actor()
        code = answer_for(error).code
        refusal = Refusal(request.method, request.path, code, error.message, name or request.about, reference)
        await services.denials.denied(actor, refusal)
