CREATE TABLE bill (
    release  TEXT    PRIMARY KEY REFERENCES release ON DELETE CASCADE,
    parts    TEXT    NOT NULL, -- JSON: format, main, parts
    digest   TEXT    NOT NULL, -- hex SHA-256 of the document
    document BLOB    NOT NULL, -- as it was uploaded
    added_at INTEGER NOT NULL, -- Unix microseconds, UTC
    added_by TEXT    NOT NULL
) STRICT;

CREATE TABLE vulnerability_list (
    id         TEXT    PRIMARY KEY, -- ULID
    name       TEXT    NOT NULL UNIQUE,
    advisories TEXT    NOT NULL,    -- JSON: format, advisories
    digest     TEXT    NOT NULL,    -- hex SHA-256 of the document
    added_at   INTEGER NOT NULL,    -- Unix microseconds, UTC
    added_by   TEXT    NOT NULL
) STRICT;

-- What follows from bills and lists: written anew with each change of either.
CREATE TABLE finding (
    release       TEXT    NOT NULL REFERENCES release ON DELETE CASCADE,
    position      INTEGER NOT NULL, -- those affected first
    vulnerability TEXT    NOT NULL,
    status        TEXT    NOT NULL, -- affected, under_investigation, fixed, not_affected
    details       TEXT    NOT NULL, -- JSON
    PRIMARY KEY (release, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX finding_vulnerability ON finding (vulnerability, status, release);

-- The release that a device of ours runs, as its jobs know.
CREATE VIEW device_release AS
SELECT j.device AS device, c.release AS release, MAX(r.sequence) AS sequence
  FROM job j
  JOIN campaign c ON c.id = j.campaign
  JOIN release r ON r.id = c.release
  JOIN device d ON d.id = j.device
 WHERE j.state = 'done' AND d.ownership = 'owned'
 GROUP BY j.device;
