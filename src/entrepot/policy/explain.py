"""Says a judgement in one line of ASCII: what, why, and what to do (product.md 5). Pure."""

from typing import Final

from entrepot.policy.model import Judgement, Mode, Outcome, Policy, Reason

MAX_TEXT: Final = 300
UNGROUPED: Final = "no_feed:jar"
"""Archives of Java whose Maven group nothing tells: there is no feed to import."""


def explain(judgement: Judgement, policy: Policy, mode: Mode) -> str:
    """The text of the gate; empty where there is nothing to say."""
    reason = judgement.reasons[0] if judgement.reasons else None
    if judgement.outcome is Outcome.BLOCK and reason is not None:
        verb = "blocked by" if mode is Mode.ENFORCE else "would be blocked by"
        return _ascii(f'{verb} policy "{policy.name}" (rule {reason.rule}): {_finding(reason)}; {_step(reason)}')
    if judgement.outcome is Outcome.ERROR:
        why = ", ".join(each.text for each in judgement.reasons[:3]) or "the analysis failed"
        return _ascii(f'policy "{policy.name}" needs a complete scan, this one is not: {why}; {_remedy(why)}')
    return ""


def _finding(reason: Reason) -> str:
    fixed = f"fixed in {reason.fixed_version}" if reason.fixed_version else "no fix yet"
    more = f" (+{reason.more} more)" if reason.more else ""
    return f"{reason.finding} ({reason.severity}) in {reason.package} {reason.version}, {fixed}{more}"


def _step(reason: Reason) -> str:
    if reason.fixed_version:
        return f"update {reason.package} and push again"
    return f"remove {reason.package}, or ask an admin of this registry"


def _remedy(why: str) -> str:
    if "no_feed:" in why.replace(UNGROUPED, ""):
        return "import a feed that covers it (entrepot feed import)"
    if UNGROUPED in why:
        return "keep the pom.properties of its jars, or ask an admin of this registry"
    return "rebuild the image without it, or ask an admin of this registry"


def _ascii(text: str) -> str:
    """One line, also where a package calls itself otherwise: the text goes into headers."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text[:MAX_TEXT])
