"""Full-text search over packages, and the sums of each channel

What differs between the databases and what SQLAlchemy cannot declare: FTS5 and its triggers on SQLite, an expression
index on PostgreSQL, and on both the triggers that keep `package_total`; every change of a package counts there.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

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
]

POSTGRESQL = [
    # the very expression of catalog/packages/search.py, or the index would not be used
    """CREATE INDEX ix_package_search ON package USING gin
 (to_tsvector('simple'::regconfig, translate(name || ' ' || summary, '-_./:@+', '       ')))""",
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
]


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    for statement in SQLITE if dialect == "sqlite" else POSTGRESQL:
        op.execute(statement.replace(":", r"\:"))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
