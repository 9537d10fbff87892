CREATE TABLE release (
    id         TEXT    PRIMARY KEY, -- ULID
    class      TEXT    NOT NULL,    -- UUID
    sequence   INTEGER NOT NULL,
    details    TEXT    NOT NULL,    -- JSON of the rest
    created_at INTEGER NOT NULL     -- Unix microseconds, UTC
) STRICT;

CREATE INDEX release_class ON release (class, sequence);

CREATE TABLE release_content (
    release TEXT PRIMARY KEY REFERENCES release ON DELETE CASCADE,
    push    BLOB, -- envelope with integrated payload
    pull    BLOB, -- envelope whose payload is fetched
    image   BLOB  -- that payload
) STRICT;

CREATE TABLE campaign (
    id         TEXT    PRIMARY KEY, -- ULID
    name       TEXT    NOT NULL,
    release    TEXT    NOT NULL REFERENCES release,
    delivery   TEXT    NOT NULL,    -- push, pull
    state      TEXT    NOT NULL,    -- running, ended, aborted
    created_at INTEGER NOT NULL,    -- Unix microseconds, UTC
    created_by TEXT    NOT NULL
) STRICT;

CREATE TABLE job (
    campaign   TEXT    NOT NULL REFERENCES campaign ON DELETE CASCADE,
    device     TEXT    NOT NULL REFERENCES device ON DELETE CASCADE,
    state      TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    result     INTEGER NOT NULL, -- /5/0/5
    tries      INTEGER NOT NULL,
    due        INTEGER NOT NULL, -- Unix microseconds, UTC
    version    INTEGER NOT NULL, -- rises with each change
    updated_at INTEGER NOT NULL, -- Unix microseconds, UTC
    PRIMARY KEY (campaign, device)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_due ON job (due) WHERE state NOT IN ('done', 'failed', 'aborted');
CREATE UNIQUE INDEX job_unfinished ON job (device) WHERE state NOT IN ('done', 'failed', 'aborted');
CREATE INDEX job_device ON job (device, state);
