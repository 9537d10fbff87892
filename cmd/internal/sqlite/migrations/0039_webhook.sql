CREATE TABLE webhook (
    id            TEXT    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL,
    url           TEXT    NOT NULL,
    mode          TEXT    NOT NULL, -- structured, binary
    types         TEXT    NOT NULL, -- prefixes, with spaces between
    subject       TEXT    NOT NULL, -- '': all
    secret        BLOB    NOT NULL, -- sealed
    state         TEXT    NOT NULL, -- active, failing, paused, disabled
    cursor        INTEGER NOT NULL, -- id of the last event told or given up
    attempt       INTEGER NOT NULL, -- how often the next one failed
    next_at       INTEGER,          -- Unix microseconds, UTC; as all below
    failing_since INTEGER,
    status        INTEGER NOT NULL, -- HTTP status of the last answer, 0: none
    words         TEXT    NOT NULL, -- why the last attempt failed
    last_at       INTEGER,
    created_at    INTEGER NOT NULL,
    created_by    TEXT    NOT NULL,
    version       INTEGER NOT NULL
) STRICT;

CREATE TABLE webhook_letter (
    hook    TEXT    NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    event   INTEGER NOT NULL,
    at      INTEGER NOT NULL, -- Unix microseconds, UTC
    type    TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    data    TEXT    NOT NULL, -- JSON
    state   TEXT    NOT NULL, -- dead, requested, sent
    words   TEXT    NOT NULL,
    tries   INTEGER NOT NULL,
    PRIMARY KEY (hook, event)
) STRICT, WITHOUT ROWID;
