"""Full-text search over packages, the sums of each channel, and who needs a package

What differs between the databases and what SQLAlchemy cannot declare: FTS5 and its triggers on SQLite, an expression
index on PostgreSQL, and on both the triggers that keep `need` and `package_total`; every change of a package counts
there.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_FORGET_NEEDS = """DELETE FROM need WHERE channel_id = old.channel_id AND family = old.family AND name = old.name
 AND needed IN (SELECT value FROM json_each(old.needs));"""
_ADD_NEEDS = """INSERT INTO need (channel_id, family, needed, name)
 SELECT new.channel_id, new.family, value, new.name FROM json_each(new.needs) WHERE true ON CONFLICT DO NOTHING;"""

SQLITE = [
    """CREATE VIRTUAL TABLE package_search USING fts5(name, summary, content='package', content_rowid='id',
 tokenize="unicode61 remove_diacritics 0", prefix='2 3')""",
    """CREATE TRIGGER package_added AFTER INSERT ON package BEGIN
 INSERT INTO package_search (rowid, name, summary) VALUES (new.id, new.name, new.summary);
 INSERT INTO package_total (channel_id, packages, files, downloads, changes)
 VALUES (new.channel_id, 1, new.file_count, new.download_count, 1)
 ON CONFLICT (channel_id) DO UPDATE SET packages = packages + 1, files = files + excluded.files,
 downloads = downloads + excluded.downloads, changes = changes + 1;
END""",
    """CREATE TRIGGER package_gone AFTER DELETE ON package BEGIN
 INSERT INTO package_search (package_search, rowid, name, summary) VALUES ('delete', old.id, old.name, old.summary);
 UPDATE package_total SET packages = packages - 1, files = files - old.file_count,
 downloads = downloads - old.download_count, changes = changes + 1 WHERE channel_id = old.channel_id;
END""",
    """CREATE TRIGGER package_changed AFTER UPDATE ON package BEGIN
 UPDATE package_total SET files = files + new.file_count - old.file_count,
 downloads = downloads + new.download_count - old.download_count, changes = changes + 1
 WHERE channel_id = new.channel_id;
END""",
    """CREATE TRIGGER package_reworded AFTER UPDATE OF summary ON package WHEN new.summary <> old.summary BEGIN
 INSERT INTO package_search (package_search, rowid, name, summary) VALUES ('delete', old.id, old.name, old.summary);
 INSERT INTO package_search (rowid, name, summary) VALUES (new.id, new.name, new.summary);
END""",
    f"CREATE TRIGGER package_needs AFTER INSERT ON package BEGIN\n {_ADD_NEEDS}\nEND",
    f"CREATE TRIGGER package_needed AFTER DELETE ON package BEGIN\n {_FORGET_NEEDS}\nEND",
    f"""CREATE TRIGGER package_needs_others AFTER UPDATE OF needs ON package WHEN new.needs <> old.needs BEGIN
 {_FORGET_NEEDS}
 {_ADD_NEEDS}
END""",
]

POSTGRESQL = [
    # The very expression of catalog/packages/search.py, or the index would not be used. Without a list of pending rows:
    # while it is long, and no statistics are there yet, a search reads every package instead.
    """CREATE INDEX ix_package_search ON package USING gin
 (to_tsvector('simple'::regconfig, translate(name || ' ' || summary, '-_./:@+', '       '))) WITH (fastupdate = off)""",
    """CREATE FUNCTION keep_package_total() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
 IF TG_OP = 'INSERT' THEN
  INSERT INTO package_total (channel_id, packages, files, downloads, changes)
  VALUES (new.channel_id, 1, new.file_count, new.download_count, 1)
  ON CONFLICT (channel_id) DO UPDATE SET packages = package_total.packages + 1,
  files = package_total.files + excluded.files, downloads = package_total.downloads + excluded.downloads,
  changes = package_total.changes + 1;
 ELSIF TG_OP = 'DELETE' THEN
  UPDATE package_total SET packages = packages - 1, files = files - old.file_count,
  downloads = downloads - old.download_count, changes = changes + 1 WHERE channel_id = old.channel_id;
 ELSE
  UPDATE package_total SET files = files + new.file_count - old.file_count,
  downloads = downloads + new.download_count - old.download_count, changes = changes + 1
  WHERE channel_id = new.channel_id;
 END IF;
 RETURN NULL;
END $$""",
    """CREATE TRIGGER package_changed AFTER INSERT OR DELETE OR UPDATE ON package
 FOR EACH ROW EXECUTE FUNCTION keep_package_total()""",
    """CREATE FUNCTION keep_needs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
 IF TG_OP <> 'INSERT' THEN
  DELETE FROM need WHERE channel_id = old.channel_id AND family = old.family AND name = old.name
  AND needed IN (SELECT jsonb_array_elements_text(CAST(old.needs AS jsonb)));
 END IF;
 IF TG_OP <> 'DELETE' THEN
  INSERT INTO need (channel_id, family, needed, name)
  SELECT new.channel_id, new.family, jsonb_array_elements_text(CAST(new.needs AS jsonb)), new.name
  ON CONFLICT DO NOTHING;
 END IF;
 RETURN NULL;
END $$""",
    """CREATE TRIGGER package_needs AFTER INSERT OR DELETE ON package FOR EACH ROW EXECUTE FUNCTION keep_needs()""",
    """CREATE TRIGGER package_needs_others AFTER UPDATE OF needs ON package
 FOR EACH ROW WHEN (new.needs <> old.needs) EXECUTE FUNCTION keep_needs()""",
]


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    for statement in SQLITE if dialect == "sqlite" else POSTGRESQL:
        op.execute(statement.replace(":", r"\:"))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
