"""Every list of the management API and every page, as they are asked for on a seeded site."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

PROJECT: Final = "team-000"
LARGE: Final = f"{PROJECT}/service-0000"
TAG: Final = "0.0.1"
ARTIFACT: Final = f"/repositories/{LARGE}/-/artifacts"


@dataclass(frozen=True, slots=True)
class Places:
    """Identifiers that a seeded site gave: of an image that is refused, and the newest of what has one."""

    digest: str
    promotion: str
    job: str
    operation: str


def calls(places: Places) -> Mapping[str, str]:
    """The list calls, and those about one thing that pages show; by name."""
    asked = [
        "/projects?limit=50",
        "/projects?limit=50&sort=-repositories&count=true",
        f"/projects?filter={quote('repositories>3')}&limit=10",
        f"/projects/{PROJECT}",
        f"/projects/{PROJECT}/policy",
        f"/projects/{PROJECT}/pipeline",
        f"/projects/{PROJECT}/robots?limit=50",
        f"/projects/{PROJECT}/robots?limit=50&sort=-created_at&count=true",
        f"/projects/{PROJECT}/members?limit=50",
        f"/projects/{PROJECT}/operations?limit=50&sort=-at&count=true",
        "/repositories",
        "/repositories?count=true",
        "/repositories?limit=1000&count=true",
        "/repositories?sort=-pushed_at",
        "/repositories?sort=-created_at",
        "/repositories?sort=-tags",
        "/repositories?sort=project",
        "/repositories?limit=20&sizes=true",
        f"/repositories?limit=50&filter={quote(f'project={PROJECT}')}",
        f"/repositories?limit=50&sort=-pulled_at&filter={quote('pulled_at<60d and name~service')}",
        f"/repositories?limit=50&count=true&filter={quote('tags>5 and not pushed_at>400d')}",
        f"/repositories/{LARGE}/-/tags",
        f"/repositories/{LARGE}/-/tags?limit=1000&count=true",
        f"/repositories/{LARGE}/-/tags?sort=natural",
        f"/repositories/{LARGE}/-/tags?sort=-natural&count=true",
        f"/repositories/{LARGE}/-/tags?sort=-moved_at",
        f"/repositories/{LARGE}/-/tags?sort=-rev",
        f"/repositories/{LARGE}/-/tags?sort=locked_by",
        f"/repositories/{LARGE}/-/tags?limit=2&count=true&filter={quote('locked=true or name~1.9')}",
        f"/repositories/{LARGE}/-/tags/{TAG}",
        f"/repositories/{LARGE}/-/tags/{TAG}/history",
        f"{ARTIFACT}/{TAG}",
        f"{ARTIFACT}/{TAG}/scan",
        f"{ARTIFACT}/{TAG}/packages",
        f"{ARTIFACT}/{TAG}/findings?filter={quote('severity>=high')}",
        f"{ARTIFACT}/{TAG}/tree",
        f"{ARTIFACT}/{TAG}/diff?with=0.0.2",
        f"{ARTIFACT}/{places.digest}/stages",
        "/promotions?limit=20",
        "/promotions?limit=20&count=true&sort=-at",
        f"/promotions?limit=20&count=true&filter={quote('state=waiting')}",
        f"/promotions?limit=20&filter={quote(f'project={PROJECT}')}",
        f"/promotions/{places.promotion}",
        "/operations?limit=50",
        f"/operations?limit=50&count=true&filter={quote('state=open and kind=tag')}",
        "/accounts?limit=50",
        "/auth/tokens",
        "/feeds",
        "/jobs",
        "/jobs?count=true",
        "/jobs?sort=id",
        "/jobs?state=failed&limit=1",
        f"/jobs/{places.job}",
        "/audit",
        "/audit?count=true",
        "/audit?limit=1000&sort=at",
        f"/audit?limit=50&filter={quote(f'repository={LARGE} and action=manifest.pushed')}",
        f"/audit?limit=10&filter={quote('project=team-007')}",
    ]
    paths = [f"/api/v1{call}" for call in asked]
    return {_plainly(path, places): path for path in paths}


def reading() -> Mapping[str, str]:
    """Calls and pages that read all they look through or sum up, as no index knows what they ask for; by name."""
    asked = [
        f"/projects/{PROJECT}/quota",
        f"/audit?limit=50&count=true&filter={quote(f'repository={LARGE} and action=manifest.pushed')}",
        f"/audit?limit=10&filter={quote('project=team-007 and outcome!=ok')}",
        f"/audit?limit=10&filter={quote('reason~nothing')}",
    ]
    sums = (f"/projects/{PROJECT}/settings", f"/projects/{PROJECT}/delete", f"/repositories/{LARGE}/-/delete")
    paths = [*(f"/api/v1{call}" for call in asked), *sums]
    return {unquote(path): path for path in paths}


def pages(places: Places) -> Mapping[str, str]:
    """The pages, and what they export; by name."""
    artifact = f"{ARTIFACT}/{places.digest}"
    parts = ("findings", "packages", "layers", "children", "referrers", "history", "verdict")
    paths = [artifact, *(f"{artifact}/{part}" for part in parts), f"/why/{LARGE}@{places.digest}"]
    paths += [*_plain(), f"/promotions/{places.promotion}", f"{artifact}/delete"]
    paths += [
        f"{trash}/chosen?act=restore&chosen={places.operation}" for trash in (f"/projects/{PROJECT}/trash", "/trash")
    ]
    paths.append(f"/promotions/chosen?act=approve&chosen={places.promotion}")
    return {_plainly(path, places): path for path in paths}


def _plainly(path: str, places: Places) -> str:
    """*path* as it reads, the same on every site."""
    own = {places.digest: "DIGEST", places.promotion: "PROMOTION", places.job: "JOB", places.operation: "OPERATION"}
    for text, word in own.items():
        path = path.replace(text, word)
    return unquote(path)


def _plain() -> list[str]:
    return [
        "/home",
        "/projects",
        "/projects?sort=-repositories",
        f"/projects/{PROJECT}",
        f"/projects/{PROJECT}?sort=-pushed_at",
        f"/projects/{PROJECT}/robots",
        f"/projects/{PROJECT}/members",
        f"/projects/{PROJECT}/trash",
        "/people",
        "/people/admin",
        "/storage",
        "/trash",
        "/repositories",
        "/repositories?sort=-pushed_at",
        "/repositories?sort=-tags",
        f"/repositories?filter={quote('name~service-00')}",
        "/repositories?format=csv",
        f"/repositories/{LARGE}",
        f"/repositories/{LARGE}?sort=-moved_at",
        f"/repositories/{LARGE}?filter={quote('name~1.9')}&limit=1",
        f"/repositories/{LARGE}?format=json",
        f"/repositories/{LARGE}/-/tags/{TAG}",
        f"/repositories/{LARGE}/-/chosen?act=trash&chosen={TAG}",
        f"/repositories/{LARGE}/-/difference?from={TAG}&to=0.0.2",
        "/promotions",
        f"/promotions?filter={quote('state=waiting')}",
        "/policies",
        "/policies?format=csv",
        "/feeds",
        "/jobs",
        "/audit",
        f"/audit?filter={quote(f'repository={LARGE}')}",
        "/audit?format=csv",
        "/settings",
        "/help",
        "/help/how-to",
        "/help/reference/api.md",
        "/account",
    ]
