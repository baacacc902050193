"""`entrepot migrate`: the database gets this version's schema, before the new servers start."""

import typer

from entrepot.cli.commands.serve import Config, Data, SecretsDir
from entrepot.cli.output import Format, Output

app = typer.Typer(add_completion=False)


@app.command("migrate")
def migrate(data: Data = None, config: Config = None, secrets_dir: SecretsDir = None) -> None:
    """Bring the database to this version's schema. Several may run at once: on PostgreSQL they wait for each other."""
    from entrepot.runtime.migrations.newest import revision_of  # noqa: PLC0415  0.5 s, which --help need not pay
    from entrepot.runtime.migrations.run import migrate  # noqa: PLC0415
    from entrepot.settings import load  # noqa: PLC0415

    url = load(data=data, config=config, secrets_dir=secrets_dir).settings.database_url.reveal()
    before = revision_of(url)
    migrate(url)
    after = revision_of(url)
    Output.to_terminal(Format.TABLE).text(
        f"the schema is {after}, as before"
        if before == after
        else f"the schema was {before or 'empty'}, now it is {after}"
    )
