"""Lists are read by an index: tags in natural order and by their last move, what is refused, sizes that are summed up."""

from typing import Final, Literal

import sqlalchemy as sa
from alembic import op

from entrepot.runtime.natural import natural_key

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

PART: Final = 5_000
TAG: Final = sa.table("tag", sa.column("repo_id"), sa.column("name"), sa.column("natural_key"))


def upgrade() -> None:
    connection = op.get_bind()
    # SQLite's text of a table is that of a new one only if it is written anew.
    recreate: Literal["always", "never"] = "always" if connection.dialect.name == "sqlite" else "never"
    place = sa.String(length=320).with_variant(sa.String(length=320, collation="C"), "postgresql")
    op.add_column("tag", sa.Column("natural_key", place, nullable=True))
    op.add_column("repo_blob", sa.Column("size", sa.BigInteger(), nullable=True))
    fill_places(connection)
    op.execute("UPDATE repo_blob SET size = (SELECT blob.size FROM blob WHERE blob.digest = repo_blob.digest)")
    with op.batch_alter_table("tag", recreate=recreate) as batch:
        batch.alter_column("natural_key", existing_type=place, nullable=False)
    with op.batch_alter_table("repo_blob", recreate=recreate) as batch:
        batch.alter_column("size", existing_type=sa.BigInteger(), nullable=False)
    op.drop_index("ix_tag_repo_id_digest", table_name="tag")
    op.create_index("ix_tag_repo_id_digest_name", "tag", ["repo_id", "digest", "name"], unique=False)
    op.create_index("ix_tag_repo_id_natural_key_name", "tag", ["repo_id", "natural_key", "name"], unique=False)
    op.create_index("ix_tag_repo_id_moved_at", "tag", ["repo_id", "moved_at"], unique=False)
    op.create_index("ix_repo_blob_repo_id_size", "repo_blob", ["repo_id", "size"], unique=False)
    op.drop_index("ix_manifest_repo_id_pushed_at", table_name="manifest")
    op.create_index("ix_manifest_repo_id_pushed_at_size", "manifest", ["repo_id", "pushed_at", "size"], unique=False)
    refused = sa.text("outcome IN ('block', 'error')")
    op.create_index("ix_verdict_refused", "verdict", ["at", "digest"], sqlite_where=refused, postgresql_where=refused)


def fill_places(connection: sa.Connection) -> None:
    """Gives each tag that is there its place in the natural order."""
    here = (TAG.c.repo_id == sa.bindparam("repo")) & (TAG.c.name == sa.bindparam("tag"))
    statement = sa.update(TAG).where(here).values(natural_key=sa.bindparam("place"))
    question = sa.select(TAG.c.repo_id, TAG.c.name).where(TAG.c.natural_key.is_(None)).limit(PART)
    while rows := connection.execute(question).all():
        connection.execute(statement, [{"repo": row[0], "tag": row[1], "place": natural_key(row[1])} for row in rows])
