"""Alembic's scripts: one step of the schema a file in `versions/`, named in `tables.REVISIONS`."""
