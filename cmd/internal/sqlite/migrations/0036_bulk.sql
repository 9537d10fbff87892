-- What was done to many devices at once, and what became of each.
CREATE TABLE bulk (
    seq        INTEGER PRIMARY KEY, -- the order in which they began
    id         TEXT    NOT NULL UNIQUE,
    action     TEXT    NOT NULL,
    what       TEXT    NOT NULL, -- in words
    reason     TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    state      TEXT    NOT NULL, -- running, done, interrupted
    total      INTEGER NOT NULL,
    done       INTEGER NOT NULL,
    failed     INTEGER NOT NULL,
    created_at INTEGER NOT NULL, -- Unix microseconds, UTC
    ended_at   INTEGER           -- NULL: it has not
) STRICT;

CREATE TABLE bulk_device (
    bulk      INTEGER NOT NULL REFERENCES bulk (seq) ON DELETE CASCADE,
    device    TEXT    NOT NULL,
    state     TEXT    NOT NULL, -- open, done, failed
    detail    TEXT    NOT NULL,
    operation TEXT    NOT NULL, -- '': none
    PRIMARY KEY (bulk, device)
) STRICT, WITHOUT ROWID;

-- Filters of lists that people keep.
CREATE TABLE saved_view (
    id         TEXT    NOT NULL PRIMARY KEY,
    owner      TEXT    NOT NULL, -- '': shared
    name       TEXT    NOT NULL,
    query      TEXT    NOT NULL, -- of the address of the inventory
    created_at INTEGER NOT NULL, -- Unix microseconds, UTC
    created_by TEXT    NOT NULL,
    UNIQUE (owner, name)
) STRICT, WITHOUT ROWID;
