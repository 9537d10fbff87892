-- The parts of releases in pieces: devices fetch block by block, and nobody reads
-- 16 MiB for one of them. One byte in release_content stands for a part here; NULL is none.
CREATE TABLE release_chunk (
    release TEXT    NOT NULL REFERENCES release ON DELETE CASCADE,
    part    TEXT    NOT NULL, -- push, pull, image
    n       INTEGER NOT NULL, -- from 0
    data    BLOB    NOT NULL, -- 256 KiB, the last is shorter
    UNIQUE (release, part, n)
) STRICT;

WITH RECURSIVE piece (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM piece WHERE n < 127)
INSERT INTO release_chunk (release, part, n, data)
SELECT release, 'push', n, substr(push, n * 262144 + 1, 262144)
  FROM release_content JOIN piece ON n * 262144 < length(push);

WITH RECURSIVE piece (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM piece WHERE n < 127)
INSERT INTO release_chunk (release, part, n, data)
SELECT release, 'pull', n, substr(pull, n * 262144 + 1, 262144)
  FROM release_content JOIN piece ON n * 262144 < length(pull);

WITH RECURSIVE piece (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM piece WHERE n < 127)
INSERT INTO release_chunk (release, part, n, data)
SELECT release, 'image', n, substr(image, n * 262144 + 1, 262144)
  FROM release_content JOIN piece ON n * 262144 < length(image);

UPDATE release_content
   SET push = CASE WHEN push IS NULL THEN NULL ELSE x'01' END,
       pull = CASE WHEN pull IS NULL THEN NULL ELSE x'01' END,
       image = CASE WHEN image IS NULL THEN NULL ELSE x'01' END;

-- Manifests that devices run and that no update of ours installed: handed over with
-- the device, or reported by it.
CREATE TABLE installed_manifest (
    device    TEXT    NOT NULL REFERENCES device ON DELETE CASCADE,
    algorithm INTEGER NOT NULL, -- of the digest, COSE
    digest    BLOB    NOT NULL, -- of the manifest
    sequence  INTEGER NOT NULL,
    uri       TEXT    NOT NULL, -- where the manifest may be fetched; '' nowhere
    source    TEXT    NOT NULL, -- transfer, report
    at        INTEGER NOT NULL, -- Unix microseconds, UTC
    PRIMARY KEY (device, algorithm, digest)
) STRICT, WITHOUT ROWID;

-- What devices reported of manifests (SUIT_Report), the newest of each.
CREATE TABLE suit_report (
    device    TEXT    NOT NULL REFERENCES device ON DELETE CASCADE,
    digest    BLOB    NOT NULL, -- of the manifest, encoded
    release   TEXT    NOT NULL, -- ULID; '' if no release of ours has that manifest
    succeeded INTEGER NOT NULL,
    reason    TEXT    NOT NULL, -- in words
    raw       BLOB    NOT NULL,
    at        INTEGER NOT NULL, -- Unix microseconds, UTC
    PRIMARY KEY (device, digest)
) STRICT, WITHOUT ROWID;

CREATE INDEX suit_report_at ON suit_report (device, at);
