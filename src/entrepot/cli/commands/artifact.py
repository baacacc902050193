"""`entrepot artifact`: what an image is, and what is in it."""

from typing import Final

import typer

from entrepot.cli.client import artifact_path
from entrepot.cli.options import Image, Insecure, Url, Wanted, client
from entrepot.cli.output import Column, Format, Item, Output, byte_size, when

app = typer.Typer(help="Show an image and its packages, and delete it.", no_args_is_help=True, add_completion=False)

SEVERITIES: Final = ("critical", "high", "medium", "low", "negligible", "unknown")


def part(item: Item, key: str) -> Item:
    """The object below *key*; an empty one if there is none."""
    found = item.get(key)
    return found if isinstance(found, dict) else {}


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
DELETED: Final = (Column("operation", "operation"),)
LAYERS: Final = (
    Column("LAYER", "index", right=True),
    Column("DIGEST", "digest"),
    Column("SIZE", size, right=True),
    Column("STEP", "step"),
)
CHILDREN: Final = (Column("PLATFORM", "platform"), Column("DIGEST", "digest"), Column("OUTCOME", "outcome"))
PACKAGES: Final = (
    Column("NAME", "name"),
    Column("VERSION", "version"),
    Column("ARCH", "arch"),
    Column("NAMESPACE", "namespace"),
    Column("SOURCE", source),
    Column("LAYER", "layer", right=True),
    Column("STEP", "step"),
)


@app.command("show")
def show(image: Image, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """Show an image: its digest, layers, findings by severity, and the verdict on it."""
    artifact = client(url, insecure=insecure).get(artifact_path(image))
    out = Output.to_terminal(output)
    out.item(artifact, FACTS)
    if output is Format.TABLE:
        for key, columns in (("layers", LAYERS), ("children", CHILDREN)):
            found = artifact.get(key)
            if isinstance(found, list) and found:
                out.text("")
                out.items(found, columns, "")


@app.command("delete")
def delete(image: Image, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """Delete a tag, or by digest an image with its tags and referrers; the operation printed takes it back."""
    deleted = client(url, insecure=insecure).delete(artifact_path(image))
    Output.to_terminal(output).item(deleted, DELETED)


@app.command("packages")
def packages(image: Image, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """List an image's packages, each with the layer and build step that brought it."""
    items = client(url, insecure=insecure).items(f"{artifact_path(image)}/packages")
    Output.to_terminal(output).items(items, PACKAGES, f"no packages in {image}")
