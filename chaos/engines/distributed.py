"""What Citus would do, done by PostgreSQL alone: each table in partitions by its distribution column.

PostgreSQL refuses a unique key without that column, as Citus does. It takes statements that Citus refuses; those are
found by the suite (tests/distribution.py).
"""

from sqlalchemy import text

from chaos.engines.registry import engine
from chaos.engines.trial import SETTINGS, Trial
from chaos.lab import POSTGRES
from chaos.site import Site
from swiper.db.distribution import PLACES, statements_for
from swiper.db.transactions import transactional
from swiper.extensions import db

# Functions named like those of Citus, which take the same arguments.
STAND_INS = """
CREATE FUNCTION create_reference_table(place regclass) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION create_distributed_table(place regclass, part text, colocate_with text) RETURNS void
  LANGUAGE plpgsql AS $$
DECLARE
  name text := place; whole text := name || '_whole'; key record;
BEGIN
  CREATE TEMP TABLE foreign_keys ON COMMIT DROP AS
    SELECT conrelid::regclass::text AS child, conname, pg_get_constraintdef(oid) AS definition
    FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND place IN (conrelid, confrelid);
  FOR key IN SELECT * FROM foreign_keys LOOP
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', key.child, key.conname);
  END LOOP;
  EXECUTE format('ALTER TABLE %I RENAME TO %I', name, whole);
  EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) PARTITION BY HASH (%I)', name, whole, part);
  FOR number IN 0..3 LOOP
    EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 4, REMAINDER %s)',
      name || '_' || number, name, number);
  END LOOP;
  EXECUTE format('INSERT INTO %I SELECT * FROM %I', name, whole);
  EXECUTE format('DROP TABLE %I', whole);
  FOR key IN SELECT * FROM foreign_keys LOOP
    EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I %s', key.child, key.conname, key.definition);
  END LOOP;
  DROP TABLE foreign_keys;
END
$$;
"""
PARTITIONED = text("SELECT count(*) FROM pg_partitioned_table")


class DistributedSite(Site):
    """A site whose tables `flask distribute` would have spread, by the same statements."""

    def prepare_database(self) -> None:
        """See `Site`."""
        super().prepare_database()
        with self.app.app_context():
            _distribute()


@transactional
def _distribute() -> None:
    for statement in (STAND_INS, *statements_for(db.metadata)):
        db.session.execute(text(statement.replace(":", "\\:")))


@engine("PostgreSQL, tables in partitions, DATABASE_LAYOUT=distributed")
def postgres_distributed(trial: Trial) -> None:
    """With the portable statements, which Citus takes."""
    server = trial.lab.server(POSTGRES)
    trial.version = server.version
    url = server.create_database(f"engine_{trial.name}")
    with DistributedSite(trial.folder("site"), url, **SETTINGS, database_layout="distributed") as site:
        trial.travel(site)
        trial.race(site)
        with site.looking() as session:
            found = session.scalar(PARTITIONED)
        wanted = sum(place.column is not None for place in PLACES.values())
        trial.check(
            "the statements of `flask distribute --dry-run`",
            "run with functions that partition a table by the column that Citus would be given",
            "every table but those that are whole everywhere",
            f"{found} of {wanted} tables are in parts",
            found == wanted,
        )
