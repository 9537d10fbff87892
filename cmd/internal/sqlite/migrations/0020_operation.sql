-- Operations on devices: what waits, what is under way, and for a while what is over.
CREATE TABLE operation (
    seq        INTEGER PRIMARY KEY,  -- the order in which they are performed
    id         TEXT    NOT NULL UNIQUE,
    device     TEXT    NOT NULL REFERENCES device ON DELETE CASCADE,
    kind       TEXT    NOT NULL,
    path       TEXT    NOT NULL,
    body       BLOB,                 -- what it takes to perform it; NULL: it is over
    action     TEXT    NOT NULL,     -- of the audit row at its end; '': none
    actor      TEXT    NOT NULL,
    flags      INTEGER NOT NULL,     -- 1: may be repeated, 2: a write, 4: held
    state      TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    result     BLOB,
    exchanges  TEXT    NOT NULL,     -- JSON
    tries      INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,     -- Unix microseconds, UTC, as those below
    sent_at    INTEGER,              -- NULL: not yet
    ended_at   INTEGER,              -- NULL: not over
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX operation_device ON operation (device, seq);
CREATE INDEX operation_open ON operation (device, seq) WHERE ended_at IS NULL;
CREATE INDEX operation_due ON operation (expires_at) WHERE ended_at IS NULL;
CREATE INDEX operation_ended ON operation (ended_at) WHERE ended_at IS NOT NULL;
