"""Run by alembic: migrate over the connection, and inside the transaction, that `upgrade.py` hands over."""

from alembic import context

from model_discovery.design_tree.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    transactional_ddl=False,  # the caller's transaction holds all steps together
)
context.run_migrations()
