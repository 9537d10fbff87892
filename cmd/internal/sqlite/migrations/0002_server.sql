CREATE TABLE registration (
    id            TEXT    PRIMARY KEY, -- last segment of the location
    device        TEXT    NOT NULL UNIQUE REFERENCES device ON DELETE CASCADE,
    endpoint      TEXT    NOT NULL,
    version       TEXT    NOT NULL,
    lifetime      INTEGER NOT NULL,    -- seconds; 0: for ever
    binding       TEXT    NOT NULL,
    queue         INTEGER NOT NULL,    -- 1: queue mode
    sms           TEXT    NOT NULL,
    root          TEXT    NOT NULL,    -- alternate path
    details       TEXT    NOT NULL,    -- JSON: formats, object links, unknown parameters
    address       TEXT    NOT NULL,
    registered_at INTEGER NOT NULL,    -- Unix microseconds, UTC
    updated_at    INTEGER NOT NULL,    -- Unix microseconds, UTC
    expires_at    INTEGER              -- Unix microseconds, UTC; NULL: never
) STRICT;

CREATE INDEX registration_expires ON registration (expires_at);

CREATE TABLE observation (
    device TEXT NOT NULL REFERENCES device ON DELETE CASCADE,
    path   TEXT NOT NULL,
    PRIMARY KEY (device, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE value (
    device TEXT    NOT NULL REFERENCES device ON DELETE CASCADE,
    path   TEXT    NOT NULL,
    kind   TEXT    NOT NULL, -- string, integer, …
    plain  TEXT    NOT NULL, -- LwM2M plain text
    source TEXT    NOT NULL, -- read, notify, send, write
    at     INTEGER NOT NULL, -- Unix microseconds, UTC
    PRIMARY KEY (device, path)
) STRICT, WITHOUT ROWID;
