"""A request for a page: who asks, in which session, and how he is answered.

Invariant: nothing is changed on behalf of a session by a page that is not ours. It holds because a POST must come from
our own origin, as the browser says, and bring the token of the session, which no other origin can read. Broken,
`tests/conformance/test_pages.py` fails. Spec: security.md, 5.
"""

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from entrepot.access.authorize import may, refusal, refusal_code
from entrepot.access.errors import PermissionDeniedError
from entrepot.access.model import Permission, Project, Repository, Site
from entrepot.access.sessions import Session
from entrepot.errors import InvalidError
from entrepot.web.context import SITE, Context
from entrepot.web.pages.look import Look
from entrepot.web.pages.multipart import read_form
from entrepot.web.pages.navigation import NAVIGATION
from entrepot.web.request import Request
from entrepot.web.services import Services

MAX_FIELDS: Final = 100
MAX_PATH: Final = 2_000
THEMES: Final = ("light", "dark")
FOREIGN: Final = "this form was not sent from a page of this registry: open the page here and send it again"
STALE: Final = "this form belongs to a session that is over: reload the page and send it again"
DONE: Final[Mapping[str, str]] = {
    "created": "It is there now.",
    "saved": "The change is made.",
    "removed": "It is gone.",
    "restored": "The tag was moved back, as a new move.",
    "requested": "It is on its way: a job does it, see the list of jobs.",
    "undone": "The deletion was taken back.",
    "trashed": "It is in the trash now, and can be taken back from there for a time.",
    "asked": "It is asked for: another admin confirms it within a day.",
    "purged": "It is gone for good: a job frees its bytes.",
    "decided": "All that was chosen is decided.",
    "password": "Your password is changed; other browsers are signed out.",
    "signed-out": "You are signed out.",
}
"""What a page says after a change, by the word in its address: never a text from there."""


@dataclass(slots=True)
class Guest:
    """A request whose sender need not be known. form: the fields of a POST, the last of each; sent: all, in order."""

    http: HttpRequest
    own: Request
    services: Services
    look: Look
    form: Mapping[str, str]
    sent: Sequence[tuple[str, str]]

    @property
    def secure(self) -> bool:
        """Whether clients reach us by https."""
        return self.services.external.startswith("https:")

    @property
    def cookie(self) -> str:
        """The session cookie's name; without https a browser takes none with the prefix."""
        return "__Host-entrepot" if self.secure else "entrepot"

    @property
    def theme(self) -> str:
        """The color scheme the browser chose here; empty: that of its system."""
        chosen = self.http.cookies.get("theme", "")
        return chosen if chosen in THEMES else ""

    def word(self, name: str, limit: int = 255) -> str:
        """The query's field *name*, empty if it is not there. Raises InvalidError: longer than *limit*, or with NUL."""
        text = self.http.query_params.get(name, "")
        if len(text) > limit or "\0" in text:
            raise InvalidError(f"at most {limit} characters, and no NUL", name)
        return text

    def words(self, name: str, limit: int = 255) -> list[str]:
        """All that the form, or else the query, has as *name*, each once. Raises InvalidError as `word`."""
        given = self.sent if self.http.method == "POST" else self.http.query_params.multi_items()
        texts = list(dict.fromkeys(text for field, text in given if field == name))
        if any(len(text) > limit or "\0" in text for text in texts):
            raise InvalidError(f"at most {limit} characters each, and no NUL", name)
        return texts

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """The page *template* with *values*."""
        return HTMLResponse(self.look.render(template, self.shared() | values), status)

    def go(self, path: str, done: str = "") -> Response:
        """To the page *path* of ours, which says what was *done*."""
        mark = "&" if "?" in path else "?"
        return RedirectResponse(f"{path}{mark}done={done}" if done else path, 303)

    def shared(self) -> dict[str, Any]:
        """What every template is given."""
        path = str(self.http.scope["path"])
        return {
            "theme": self.theme,
            "here": path,
            "back": own_path(quote(path)) if self.http.method == "GET" else "/",
            "account": "",
            "csrf": "",
            "navigation": (),
            "done": DONE.get(self.http.query_params.get("done", ""), ""),
        }


@dataclass(slots=True)
class Visit(Guest):
    """A request of somebody who signed in."""

    context: Context
    session: Session

    def shared(self) -> dict[str, Any]:
        """What every template is given, for who signed in."""
        account = self.context.principal.actor.name
        return {**Guest.shared(self), "account": account, "csrf": self.session.csrf, "navigation": NAVIGATION}

    def refused(self, permission: Permission, resource: Site | Project | Repository = SITE) -> str:
        """Why who asks may not do *permission* on *resource*; empty: he may."""
        principal = self.context.principal
        if may(principal, permission, resource):
            return ""
        return refusal(principal, permission, resource, refusal_code(principal, resource))


Show = Callable[[Visit], Awaitable[Response]]
Take = Callable[[Visit, AsyncIterator[bytes]], Awaitable[Response]]
Greet = Callable[[Guest], Awaitable[Response]]


def page(path: str, show: Show, *, is_use: bool = True) -> Route:
    """What GET of *path* shows to who is signed in; others sign in first. is_use: whether it keeps the session."""

    async def endpoint(http: HttpRequest) -> Response:
        guest = await _guest(http)
        visit = await _signed_in(guest, is_use=is_use)
        if visit is None:
            query = f"?{http.url.query}" if http.url.query else ""
            return guest.go(f"/sign-in?next={quote(quote(http.scope['path']) + query, safe='/')}")
        return await show(visit)

    return Route(path, endpoint, methods=["GET"])


def action(path: str, act: Show) -> Route:
    """What a form that is sent to *path* does."""

    async def endpoint(http: HttpRequest) -> Response:
        guest = await _guest(http)
        check_origin(guest)
        visit = await _signed_in(guest)
        if visit is None:
            return guest.go("/sign-in")
        check_token(visit)
        return await act(visit)

    return Route(path, endpoint, methods=["POST"])


def upload(path: str, check: Callable[[Visit], None], take: Take) -> Route:
    """What a form with a file that is sent to *path* does; the file is read as it comes, its fields before it.

    check: lets pass before anything is read, or raises: who may not send one, what is too large.
    """

    async def endpoint(http: HttpRequest) -> Response:
        guest = await _guest(http, read=False)
        check_origin(guest)
        visit = await _signed_in(guest)
        if visit is None:
            return guest.go("/sign-in")
        check(visit)
        form = await read_form(guest.own.headers.get("content-type", ""), guest.own.body())
        visit.form, visit.sent = form.fields, tuple(form.fields.items())
        check_token(visit)
        return await take(visit, form.file)

    return Route(path, endpoint, methods=["POST"])


def open_page(path: str, show: Greet) -> Route:
    """What GET of *path* shows to everybody."""

    async def endpoint(http: HttpRequest) -> Response:
        return await show(await _guest(http))

    return Route(path, endpoint, methods=["GET"])


def open_action(path: str, act: Greet) -> Route:
    """What a form of a page of ours that everybody sees does."""

    async def endpoint(http: HttpRequest) -> Response:
        guest = await _guest(http)
        check_origin(guest)
        return await act(guest)

    return Route(path, endpoint, methods=["POST"])


def check_origin(guest: Guest) -> None:
    """Lets pass what a page of ours sent, as the browser says. Raises PermissionDeniedError."""
    headers = guest.own.headers
    site = headers.get("sec-fetch-site")
    is_own = site == "same-origin" if site is not None else headers.get("origin", "") == guest.services.external
    if not is_own:
        raise PermissionDeniedError(FOREIGN, "form.send")


def check_token(visit: Visit) -> None:
    """Lets pass what a page of this very session sent. Raises PermissionDeniedError."""
    if not hmac.compare_digest(visit.form.get("csrf", "").encode(), visit.session.csrf.encode()):
        raise PermissionDeniedError(STALE, "form.send")


def own_path(text: str) -> str:
    """*text* if it is a path of ours, else `/`: no other host, by whichever spelling browsers know."""
    good = text.startswith("/") and text[1:2] != "/" and "\\" not in text and len(text) <= MAX_PATH
    if not good or not text.isascii() or not text.isprintable() or " " in text:
        return "/"
    parts = urlsplit(text)
    return text if not parts.scheme and not parts.netloc else "/"


async def known(http: HttpRequest) -> Guest:
    """Who asks, whose form need not be readable: a `Visit` if he is signed in."""
    guest = await stranger(http)
    return await _signed_in(guest) or guest


async def stranger(http: HttpRequest) -> Guest:
    """Somebody who asks, without a look at who it is."""
    return await _guest(http, read=False)


async def _guest(http: HttpRequest, *, read: bool = True) -> Guest:
    own: Request = http.scope["entrepot.request"]
    sent: list[tuple[str, str]] = []
    if read and http.method == "POST":
        try:
            body = (await http.body()).decode()
            sent = parse_qsl(body, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
        except ValueError:
            raise InvalidError(f"the form is not readable: it has up to {MAX_FIELDS} fields") from None
        if any("\0" in value for _, value in sent):
            raise InvalidError("no NUL is allowed in a form")
    return Guest(http, own, http.app.state.services, http.app.state.look, dict(sent), sent)


async def _signed_in(guest: Guest, *, is_use: bool = True) -> Visit | None:
    text = guest.http.cookies.get(guest.cookie, "")
    found = await guest.services.sessions.find(guest.own.actor(), text, is_use=is_use) if text else None
    if found is None:
        return None
    session, principal = found
    guest.own.principal = principal
    await guest.services.authn.admission.by_principal(guest.own, principal)
    context = Context(guest.services, principal, guest.own)
    return Visit(guest.http, guest.own, guest.services, guest.look, guest.form, guest.sent, context, session)
