"""`entrepot pipeline`: the stages of a project, and the moves between them."""

from typing import Annotated, Final

import typer

from entrepot.cli.client import project_path
from entrepot.cli.options import Insecure, Project, Url, Wanted, client
from entrepot.cli.output import Column, Format, Item, Output, parts
from entrepot.errors import InvalidError

app = typer.Typer(help="Show and set the stages of a project.", no_args_is_help=True, add_completion=False)


def _stages(item: Item) -> str:
    return ", ".join(
        f"{each['name']} ({each['target']})" if each.get("target") else str(each["name"])
        for each in parts(item, "stages")
    )


def _moves(item: Item) -> str:
    return ", ".join(f"{each['from']} > {each['to']}: {each['approvals']} approvals" for each in parts(item, "moves"))


FACTS: Final = (Column("stages", _stages), Column("moves", _moves))


@app.command("show")
def show(project: Project, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """Show the stages of a project, the first is where pushes go."""
    Output.to_terminal(output).item(client(url, insecure=insecure).get(_path(project)), FACTS)


@app.command("set")
def set_(
    project: Project,
    stages: Annotated[
        list[str],
        typer.Option("--stage", metavar="NAME[=PLACE]", help="A stage, in order; all but the first with its place."),
    ],
    moves: Annotated[
        list[str] | None, typer.Option("--move", metavar="FROM>TO[:APPROVALS]", help="A way, by 1 approval else.")
    ] = None,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Give a project other stages, at once: --stage dev --stage production=prod --move 'dev>production:1'."""
    body: Item = {"stages": [_stage(each) for each in stages], "moves": [_move(each) for each in moves or []]}
    Output.to_terminal(output).item(client(url, insecure=insecure).change("PUT", _path(project), body), FACTS)


def _stage(text: str) -> Item:
    name, _, place = text.partition("=")
    return {"name": name, "target": f"{place}/{{repository}}" if place else ""}


def _move(text: str) -> Item:
    way, _, count = text.partition(":")
    source, arrow, target = way.partition(">")
    if not arrow or not (count or "1").isdigit():
        raise InvalidError(f"{text}: a move is written FROM>TO or FROM>TO:APPROVALS")
    return {"from": source, "to": target, "approvals": int(count or 1)}


def _path(project: str) -> str:
    return f"{project_path(project)}/pipeline"
