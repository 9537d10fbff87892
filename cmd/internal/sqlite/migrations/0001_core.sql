CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL, -- Unix microseconds, UTC
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    before  TEXT    NOT NULL,
    after   TEXT    NOT NULL,
    prev    BLOB    NOT NULL, -- hash of the row before, zeros for the first
    hash    BLOB    NOT NULL
) STRICT;

CREATE INDEX audit_subject ON audit (subject, id);

CREATE TABLE device (
    id         TEXT    PRIMARY KEY,        -- ULID
    factory    BLOB    UNIQUE,             -- SHA-256 of the factory certificate; NULL: none
    endpoint   TEXT    NOT NULL UNIQUE,
    ownership  TEXT    NOT NULL,           -- expected, owned, left
    nosec      INTEGER NOT NULL DEFAULT 0, -- 1: may register without security
    tags       TEXT    NOT NULL,           -- JSON array of strings, sorted
    created_at INTEGER NOT NULL            -- Unix microseconds, UTC
) STRICT;

CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
