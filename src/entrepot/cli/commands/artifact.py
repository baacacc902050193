"""`entrepot artifact`: what an image is, what is in it, and what is different in another."""

from collections.abc import Callable, Iterator
from typing import Annotated, Final

import typer

from entrepot.cli.client import artifact_path
from entrepot.cli.listed import Listed
from entrepot.cli.options import Count, DryRun, Image, Insecure, Most, Sort, Url, Wanted, Where, asked, client
from entrepot.cli.output import Column, Format, Item, Output, part, parts, when
from entrepot.cli.removal import removal_query, tell
from entrepot.runtime.shown import byte_size

app = typer.Typer(help="Show, compare and delete images.", no_args_is_help=True, add_completion=False)

SEVERITIES: Final = ("critical", "high", "medium", "low", "negligible", "unknown")


def size(item: Item) -> object:
    """The item's size for people."""
    found = item.get("size")
    return byte_size(found) if isinstance(found, int) else found


def counts(item: Item) -> str:
    """The findings of an artifact by severity, worst first, those that are there."""
    findings = part(part(item, "scan"), "findings")
    return ", ".join(f"{findings[name]} {name}" for name in SEVERITIES if findings.get(name)) or "none"


def scan_state(item: Item) -> str:
    """The analysis of an artifact: its state, and why it is not complete, if so."""
    scan = part(item, "scan")
    reasons = scan.get("reasons")
    why = ": " + ", ".join(map(str, reasons)) if isinstance(reasons, list) and reasons else ""
    return f"{scan.get('status')}{why}"


def source(item: Item) -> str:
    """The source of a package where it is another than the package itself."""
    name, version = item.get("source_name"), item.get("source_version")
    return "" if (name, version) == (item.get("name"), item.get("version")) else f"{name} {version}"


FACTS: Final = (
    Column("repository", "repository"),
    Column("tags", "tags"),
    Column("digest", "digest"),
    Column("media type", "media_type"),
    Column("artifact type", "artifact_type"),
    Column("platform", "platform"),
    Column("size", size),
    Column("pushed", when("pushed_at")),
    Column("pushed by", "pushed_by"),
    Column("scan", scan_state),
    Column("system", lambda item: part(item, "scan").get("os")),
    Column("packages", lambda item: part(item, "scan").get("packages")),
    Column("findings", counts),
    Column("verdict", lambda item: part(item, "verdict").get("outcome")),
    Column("mode", lambda item: part(item, "verdict").get("mode")),
    Column("policy", lambda item: part(item, "verdict").get("policy")),
    Column("reason", lambda item: part(item, "verdict").get("text")),
)
REFERENCE: Final = Column("", lambda item: f"{item.get('repository')}@{item.get('digest')}")
LAYERS: Final = (
    Column("LAYER", "index", right=True),
    Column("DIGEST", "digest"),
    Column("SIZE", size, right=True),
    Column("STEP", "step"),
)
CHILDREN: Final = (Column("PLATFORM", "platform"), Column("DIGEST", "digest"), Column("OUTCOME", "outcome"))
NODES: Final = (
    Column("KIND", "kind"),
    Column("DIGEST", "digest"),
    Column("SIZE", size, right=True),
    Column("PLATFORM OR STEP", "what"),
)
NAME: Final = Column("", "name")
CHANGE_COLUMNS: Final = (
    Column("CHANGE", "change"),
    Column("KIND", "kind"),
    Column("NAME", "name"),
    Column("BEFORE", "before"),
    Column("AFTER", "after"),
)
PACKAGES: Final = (
    Column("NAME", "name"),
    Column("VERSION", "version"),
    Column("ARCH", "arch"),
    Column("NAMESPACE", "namespace"),
    Column("SOURCE", source),
    Column("LAYER", "layer", right=True),
    Column("STEP", "step"),
)


Value = Callable[[Item], object]


def value(key: str) -> Value:
    """Gives the value of an item's *key*."""
    return lambda item: item.get(key)


def nothing(_item: Item) -> object:
    """What stands where an item has no value."""
    return None


def vulnerability(item: Item) -> object:
    """A finding for people."""
    return f"{item.get('id')} in {item.get('package')}"


CHANGES: Final[tuple[tuple[str, str, str, Value, Value, Value], ...]] = (
    ("added", "added", "package", value("name"), nothing, value("after")),
    ("removed", "removed", "package", value("name"), value("before"), nothing),
    ("changed", "changed", "package", value("name"), value("before"), value("after")),
    ("gained", "added", "finding", vulnerability, nothing, value("severity")),
    ("lost", "removed", "finding", vulnerability, value("severity"), nothing),
    ("only_to_layers", "added", "layer", value("digest"), nothing, size),
    ("only_from_layers", "removed", "layer", value("digest"), size, nothing),
)
"""Of a difference: key, change, kind, and what gives name, before and after of an item."""


@app.command("show")
def show(image: Image, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """Show an image: its digest, layers, findings by severity, and the verdict on it."""
    artifact = client(url, insecure=insecure).get(artifact_path(image))
    out = Output.to_terminal(output)
    out.item(artifact, FACTS, REFERENCE)
    if output is Format.TABLE:
        for key, columns in (("layers", LAYERS), ("children", CHILDREN)):
            found = artifact.get(key)
            if isinstance(found, list) and found:
                out.text("")
                out.items(found, columns, "")


@app.command("delete")
def delete(
    *,
    image: Image,
    dry_run: DryRun = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Delete a tag, or by digest an image with its tags and referrers; the operation printed takes it back."""
    deleted = client(url, insecure=insecure).delete(artifact_path(image), removal_query(dry_run=dry_run))
    tell(Output.to_terminal(output), deleted)


@app.command("packages")
def packages(
    *,
    image: Image,
    where: Where = None,
    sort: Sort = None,
    limit: Most = None,
    count: Count = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """List an image's packages, each with the layer and build step that brought it."""
    listed = Listed(f"{artifact_path(image)}/packages", asked(where, sort), PACKAGES, f"no packages in {image}")
    listed.show(client(url, insecure=insecure), Output.to_terminal(output), limit, count=count)


@app.command("tree")
def tree(image: Image, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """Show all below an image: platforms, layers with the build step of each, and what refers to it."""
    root = client(url, insecure=insecure).get(f"{artifact_path(image)}/tree")
    out = Output.to_terminal(output)
    if output in {Format.JSON, Format.YAML}:
        out.item(root, ())
        return
    nodes = list(_nodes(root, ""))
    out.items(nodes, NODES, "", Column("", "digest"))


@app.command("diff")
def diff(
    image: Image,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="Another tag or digest of the same repository.")],
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Show what another image has more, less, or in other versions: packages, findings, layers."""
    found = client(url, insecure=insecure).get(f"{artifact_path(image)}/diff", {"with": other})
    out = Output.to_terminal(output)
    if output in {Format.JSON, Format.YAML}:
        out.item(found, ())
        return
    changes: list[Item] = [
        {"change": change, "kind": kind, "name": str(name(item)), "before": before(item), "after": after(item)}
        for key, change, kind, name, before, after in CHANGES
        for item in parts(found, key)
    ]
    out.items(changes, CHANGE_COLUMNS, f"{image} and {other} have the same packages, findings and layers", NAME)


def _nodes(node: Item, indent: str) -> Iterator[Item]:
    """Rows of a tree, the outer ones first, with how deep each is."""
    yield _row(indent, str(node.get("kind")), node, str(node.get("platform") or ""))
    deeper = indent + "  "
    for layer in parts(node, "layers"):
        yield _row(deeper, "layer", layer, str(layer.get("step")))
    for child in parts(node, "children"):
        yield from _nodes(child, deeper)
    for referrer in parts(node, "referrers"):
        yield _row(deeper, "referrer", referrer, str(referrer.get("artifact_type")))


def _row(indent: str, kind: str, item: Item, what: str) -> Item:
    return {"kind": f"{indent}{kind}", "digest": item.get("digest"), "size": item.get("size"), "what": what}
