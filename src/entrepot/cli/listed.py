"""How a list of the API is printed: its items, or their number alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from entrepot.cli.client import Client
from entrepot.cli.output import Column, Output


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of the API: where it is, what is asked of it, and what stands for it if it is empty.

    name: the column of what other commands take for an item; None: the first one.
    """

    path: str
    query: Mapping[str, str]
    columns: Sequence[Column]
    empty: str
    name: Column | None = None

    def show(self, api: Client, out: Output, most: int | None, *, count: bool) -> None:
        """Print at most *most* items; with *count* only how many there are in all. Raises as `Client.get`."""
        if count:
            out.text(str(api.total(self.path, self.query)))
        else:
            out.items(api.items(self.path, self.query, most), self.columns, self.empty, self.name)
