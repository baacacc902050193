"""What an image's config says about its layers: their diff_ids, and the build steps that made them.

Spec: OCI image-spec, config.md ("rootfs", "history"). Design: scanning.md, section 4, point 4.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from entrepot.content.errors import CopySuspectError
from entrepot.content.ports import SmallBytes

MAX_CONFIG_BYTES: Final = 1024 * 1024
UNKNOWN_STEP: Final = "unknown"
LONGEST_STEP: Final = 1_000


def diff_ids(config: Mapping[str, object]) -> tuple[str, ...]:
    """The config's `rootfs.diff_ids`, lowest layer first; none if they are absent or no list of texts."""
    rootfs = config.get("rootfs")
    listed = rootfs.get("diff_ids") if isinstance(rootfs, Mapping) else None
    if not isinstance(listed, list):
        return ()
    texts = tuple(entry for entry in listed if isinstance(entry, str))
    return texts if len(texts) == len(listed) else ()


def build_steps(config: Mapping[str, object], layers: int) -> tuple[str, ...]:
    """The text of the build step behind each of *layers* layers.

    All are `unknown` if the history does not have exactly one entry that made a layer for each: never a guess.
    """
    history = config.get("history")
    entries = [entry for entry in history if isinstance(entry, Mapping)] if isinstance(history, list) else []
    made = [entry for entry in entries if entry.get("empty_layer") is not True]
    if not isinstance(history, list) or len(entries) != len(history) or len(made) != layers:
        return (UNKNOWN_STEP,) * layers
    return tuple(_cleaned(entry.get("created_by")) for entry in made)


def _cleaned(created_by: object) -> str:
    """A step without what builders wrap around it, on one line, cut at LONGEST_STEP characters."""
    if not isinstance(created_by, str):
        return UNKNOWN_STEP
    text = created_by[: 4 * LONGEST_STEP].strip().removesuffix("# buildkit")
    text = text.replace("/bin/sh -c ", "", 1).replace("#(nop)", "", 1)
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return (line if len(line) <= LONGEST_STEP else line[: LONGEST_STEP - 1] + "…") or UNKNOWN_STEP


@dataclass(frozen=True, slots=True)
class ReadSteps:
    """Reads build steps out of configs that lie in *files*."""

    files: SmallBytes

    async def __call__(self, config: tuple[str, int] | None, layers: int) -> tuple[str, ...]:
        """The build step of each of *layers* layers, lowest first, by the config of that key and size.

        A step is `unknown` where the config is absent, too long or does not say.
        """
        document: object = {}
        if config is not None and config[1] <= MAX_CONFIG_BYTES:
            with suppress(ValueError, RecursionError, CopySuspectError):
                document = json.loads(await self.files.get(config[0]))
        return build_steps(document if isinstance(document, dict) else {}, layers)
