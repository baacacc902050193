"""How pages look: templates that escape all they are given, and the words that times and sizes become."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from entrepot.clock import Clock
from entrepot.runtime.shown import byte_size, relative
from entrepot.web.pages.assets import Assets

TEMPLATES: Final = Path(__file__).parent / "templates"
SHORT_DIGEST: Final = 12
COLORS: Final = {
    "pass": "green",
    "done": "green",
    "ok": "green",
    "complete": "green",
    "executed": "green",
    "added": "green",
    "warn": "yellow",
    "pending": "azure",
    "queued": "azure",
    "analysing": "azure",
    "enforce": "azure",
    "low": "azure",
    "medium": "yellow",
    "waiting": "azure",
    "running": "azure",
    "block": "red",
    "error": "red",
    "failed": "red",
    "denied": "red",
    "critical": "red",
    "high": "orange",
    "partial": "orange",
}


@dataclass(frozen=True, slots=True)
class Look:
    """Renders templates. assets: the files pages bring along."""

    environment: Environment
    assets: Assets

    @classmethod
    def of(cls, assets: Assets, clock: Clock) -> "Look":
        """Everything in `templates/`, compiled when it is first needed."""
        environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.globals |= {"asset": assets.address}
        environment.filters |= {
            "ago": lambda at: relative(at, clock.now()),
            "absolute": absolute,
            "size": byte_size,
            "short": short,
            "counted": counted,
            "color": lambda word: COLORS.get(str(word), "secondary"),
        }
        return cls(environment, assets)

    def render(self, template: str, values: dict[str, Any]) -> str:
        """The text of *template* with *values*; a name it does not know is an error."""
        return self.environment.get_template(template).render(values)


def absolute(at: datetime) -> str:
    """*at* as it is written everywhere: ISO 8601 in UTC, to the second."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


def short(digest: str) -> str:
    """A digest as it stands in tables: the algorithm and its first characters."""
    algorithm, colon, value = digest.partition(":")
    return f"{algorithm}:{value[:SHORT_DIGEST]}" if colon else digest


def counted(number: int, noun: str) -> str:
    """So many of *noun*, whose plural ends in s: `1 tag`, `3 tags`, `no tag`."""
    return f"{number or 'no'} {noun}" if number in {0, 1} else f"{number:,} {noun}s"
