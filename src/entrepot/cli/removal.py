"""How a deletion is told: with `--dry-run` what would go, else the operation that takes it back."""

from typing import Final

from entrepot.cli.output import Column, Format, Item, Output
from entrepot.runtime.shown import byte_size

DELETED: Final = (Column("operation", "operation"),)
PLANNED: Final = (Column("KIND", "kind"), Column("WOULD GO", "name"))
NAMES: Final = Column("", "name")


def removal_query(*, dry_run: bool) -> dict[str, str]:
    """The query that asks for a plan, if one is wanted."""
    return {"dry_run": "true"} if dry_run else {}


def tell(out: Output, answer: Item) -> None:
    """Print the server's *answer* to a deletion: its plan, or what it did."""
    if not answer.get("dry_run"):
        out.item(answer, DELETED)
        return
    items = answer.get("items")
    planned = [each for each in items if isinstance(each, dict)] if isinstance(items, list) else []
    if out.format in {Format.JSON, Format.YAML}:
        out.item(answer, ())
        return
    out.items(planned, PLANNED, "nothing would go", NAMES)
    freed, kept = (_bytes(answer, key) for key in ("bytes", "shared_bytes"))
    out.note(f"{answer.get('total')} in all; {freed} would be freed, {kept} stay, for others; nothing was changed")


def _bytes(answer: Item, key: str) -> str:
    found = answer.get(key)
    return byte_size(found if isinstance(found, int) else 0)
