"""`entrepot policy`: the rules that judge a project's images."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from entrepot.cli.client import project_path
from entrepot.cli.options import Insecure, Project, Url, Wanted, client
from entrepot.cli.output import Column, Format, Output

app = typer.Typer(
    help="Show a project's policy and how strictly it is applied.", no_args_is_help=True, add_completion=False
)

FACTS: Final = (
    Column("project", "project"),
    Column("policy", "policy"),
    Column("mode", "mode"),
    Column("wanted", "wanted"),
    Column("unknown counts as", "unknown_severity"),
)
LIMITS: Final = (
    Column("RULE", "id"),
    Column("SEVERITY", "severity"),
    Column("FIXABLE ONLY", "fixable"),
    Column("MOST", "max", right=True),
)


class Mode(StrEnum):
    """How strictly a policy is applied."""

    MONITOR = "monitor"
    WARN = "warn"
    ENFORCE = "enforce"


@app.command("show")
def show(project: Project, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """Show a project's policy, its mode and its limits."""
    policy = client(url, insecure=insecure).get(f"{project_path(project)}/policy")
    out = Output.to_terminal(output)
    out.item(policy, FACTS)
    limits = policy.get("limits")
    if output is Format.TABLE and isinstance(limits, list):
        out.text("")
        out.items(limits, LIMITS, "no limits")


@app.command("mode")
def mode(
    *,
    project: Project,
    wanted: Annotated[Mode, typer.Argument(metavar="MODE", help="monitor: judge only; warn: tell; enforce: refuse.")],
    wait: Annotated[bool, typer.Option("--wait", help="Until every image of the project is judged anew.")] = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Change how strictly a project's policy is applied."""
    api, out = client(url, insecure=insecure), Output.to_terminal(output)
    policy = f"{project_path(project)}/policy"
    changed = api.change("PUT", f"{policy}/mode", {"mode": wanted.value}, policy)
    if wait and changed.get("job"):
        with out.progress(f"judging the images of {project}"):
            api.wait_for_job(str(changed["job"]))
        changed = api.get(policy)
    out.item(changed, FACTS[:4])
