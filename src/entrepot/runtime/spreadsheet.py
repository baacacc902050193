"""Text in CSV files, which people open in spreadsheets: a cell that begins as a formula is computed there.

Whoever may name a tag or be refused by name could so have `=HYPERLINK(…)` run at the desk of who looks at the export.
"""

from typing import Final

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def harmless(text: str) -> str:
    """*text* as a cell that a spreadsheet shows and does not compute: an apostrophe before what begins a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text
