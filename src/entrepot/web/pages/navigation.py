"""The pages that every page leads to."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Place:
    """A page in the navigation: its path, title, and icon in `static/icons.svg`."""

    path: str
    title: str
    icon: str


NAVIGATION: Final = (
    Place("/home", "Home", "house"),
    Place("/projects", "Projects", "folder"),
    Place("/repositories", "Repositories", "package"),
    Place("/promotions", "Promotions", "circle-arrow-up"),
    Place("/policies", "Policies", "shield-check"),
    Place("/feeds", "Feeds", "rss"),
    Place("/jobs", "Jobs", "list-checks"),
    Place("/audit", "Audit", "scroll-text"),
    Place("/people", "People", "users"),
    Place("/settings", "Settings", "settings"),
    Place("/help", "Help", "circle-question-mark"),
)
