"""`entrepot feed`: advisories, from files."""

from pathlib import Path
from typing import Annotated, Final

import typer

from entrepot.cli.listed import Listed
from entrepot.cli.options import Count, Insecure, Most, Sort, Url, Wanted, Where, asked, client
from entrepot.cli.output import Column, Format, Item, Output, when
from entrepot.errors import EntrepotError, InvalidError

app = typer.Typer(help="Import advisories and show what they cover.", no_args_is_help=True, add_completion=False)

SUFFIXES: Final = (".jsonl", ".jsonl.zst", ".json", ".json.zst")
COLUMNS: Final = (
    Column("SOURCE", "source"),
    Column("RECORDS", "records", right=True),
    Column("NAMESPACES", "namespaces"),
    Column("COVERS", "covers"),
    Column("BUILT", when("built_at")),
    Column("IMPORTED", when("imported_at")),
)
IMPORTS: Final = (Column("FILE", "file"), Column("SOURCE", "source"), Column("JOB", "job"), Column("STATE", "state"))


class FeedsFailedError(EntrepotError):
    """Some of the files given were not imported."""


@app.command("import")
def import_files(
    *,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="OSV JSON lines or Alpine secdb, or a folder.")],
    source: Annotated[str | None, typer.Option(help="The feed's name; else the one it gives itself.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Take it even if it is older or much smaller.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until stored images are judged by it.")] = True,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Import advisories. A folder stands for each feed file in it."""
    files = feed_files(paths)
    if source and len(files) > 1:
        raise InvalidError(f"--source names one feed, and {len(files)} files were given")
    api, out = client(url, insecure=insecure), Output.to_terminal(output)
    done: list[Item] = []
    failed = 0
    with out.progress("importing") as tell:
        for file in files:
            tell(file.name)
            row: Item = {"file": str(file), "source": source, "job": None, "state": "refused"}
            try:
                query = ({"source": source} if source else {}) | ({"force": "true"} if force else {})
                row |= api.upload("/feeds", file, query) | {"state": "waiting"}
                if wait:
                    row["state"] = api.wait_for_job(str(row["job"])).get("state")
            except EntrepotError as error:
                if len(files) == 1:
                    raise
                failed += 1
                out.fault(f"{file}: {error.message}")
                row["state"] = "failed" if row["job"] else "refused"
            done.append(row)
        if wait:
            tell("judging stored images")
            api.wait_for_verdicts()
    out.items(done, IMPORTS, "no feed files there")
    if failed:
        raise FeedsFailedError(f"{failed} of {len(files)} files were not imported")


@app.command("status")
def status(
    *,
    where: Where = None,
    sort: Sort = None,
    limit: Most = None,
    count: Count = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Show the feeds that were imported, their age, and the namespaces they cover."""
    listed = Listed("/feeds", asked(where, sort), COLUMNS, "no feeds: entrepot feed import PATH")
    listed.show(client(url, insecure=insecure), Output.to_terminal(output), limit, count=count)


def feed_files(paths: list[Path]) -> list[Path]:
    """Each of *paths* that is a file, and the feed files of each that is a folder, sorted. Raises InvalidError."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(each for each in path.iterdir() if each.is_file() and each.name.endswith(SUFFIXES))
            if not inside:
                raise InvalidError(f"{path} holds no feed file ({', '.join(SUFFIXES)})")
            files += inside
        elif path.is_file():
            files.append(path)
        else:
            raise InvalidError(f"{path} does not exist")
    return files
