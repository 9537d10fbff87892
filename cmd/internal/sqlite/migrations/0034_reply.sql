CREATE TABLE reply (
    key     BLOB    NOT NULL PRIMARY KEY, -- SHA-256 of the caller and their Idempotency-Key
    caller  TEXT    NOT NULL,
    request BLOB    NOT NULL, -- SHA-256
    run     TEXT    NOT NULL, -- the process that works, or worked, on it
    state   TEXT    NOT NULL, -- running, applied, done, unkept
    status  INTEGER NOT NULL, -- HTTP status of the answer, 0: none yet
    header  TEXT    NOT NULL, -- JSON
    body    BLOB    NOT NULL, -- sealed: an answer may hold a secret
    at      INTEGER NOT NULL  -- Unix microseconds, UTC
) STRICT, WITHOUT ROWID;

CREATE INDEX reply_caller ON reply (caller);
CREATE INDEX reply_at ON reply (at);
