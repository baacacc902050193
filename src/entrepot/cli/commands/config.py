"""`entrepot config`: the server's settings, as `entrepot serve` would read them here."""

from dataclasses import asdict
from typing import Final

import typer

from entrepot.cli.commands.serve import Config, Data, SecretsDir
from entrepot.cli.options import Wanted
from entrepot.cli.output import Column, ExitCode, Format, Output

app = typer.Typer(help="Check and show the server's settings.", no_args_is_help=True, add_completion=False)

COLUMNS: Final = (
    Column("NAME", "name"),
    Column("VALUE", "value"),
    Column("SOURCE", "source"),
    Column("WHAT IT IS", "summary"),
)


@app.command("check")
def check(data: Data = None, config: Config = None, secrets_dir: SecretsDir = None) -> None:
    """Say whether the server would start with these settings. Every fault is a line; 2 if there is any."""
    from entrepot.settings import SettingsInvalidError, load  # noqa: PLC0415  0.4 s, which --help need not pay

    out = Output.to_terminal(Format.TABLE)
    try:
        loaded = load(data=data, config=config, secrets_dir=secrets_dir)
    except SettingsInvalidError as error:
        for fault in error.faults:
            out.note(f"error: {fault}")
        raise typer.Exit(ExitCode.USAGE) from None
    out.text(f"the settings are good; set, and not left at their default: {', '.join(loaded.origins) or 'none'}")


@app.command("show")
def show(
    data: Data = None, config: Config = None, secrets_dir: SecretsDir = None, output: Wanted = Format.TABLE
) -> None:
    """List every setting with its value, where it is set and what it is. Secrets are hidden."""
    from entrepot.settings import describe, load  # noqa: PLC0415  see check

    loaded = load(data=data, config=config, secrets_dir=secrets_dir)
    Output.to_terminal(output).items([asdict(row) for row in describe(loaded)], COLUMNS, "there are no settings")
