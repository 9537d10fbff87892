CREATE TABLE device_key (
    identity   TEXT    PRIMARY KEY, -- of the pre-shared key
    device     TEXT    NOT NULL REFERENCES device ON DELETE CASCADE,
    use        TEXT    NOT NULL,    -- server, bootstrap
    secret     BLOB    NOT NULL,    -- sealed with the key of the data directory
    created_at INTEGER NOT NULL,    -- Unix microseconds, UTC
    UNIQUE (device, use)
) STRICT, WITHOUT ROWID;

CREATE TABLE bootstrap_report (
    device     TEXT    PRIMARY KEY REFERENCES device ON DELETE CASCADE,
    state      TEXT    NOT NULL,
    details    TEXT    NOT NULL,  -- JSON of the rest
    started_at INTEGER NOT NULL,  -- Unix microseconds, UTC
    ended_at   INTEGER            -- NULL: not over
) STRICT, WITHOUT ROWID;

CREATE INDEX bootstrap_unfinished ON bootstrap_report (device) WHERE ended_at IS NULL;

CREATE TABLE bootstrap_profile (
    name     TEXT    PRIMARY KEY,
    tag      TEXT    NOT NULL UNIQUE, -- of the devices it is for; '' is the profile of all others
    details  TEXT    NOT NULL         -- JSON
) STRICT, WITHOUT ROWID;
