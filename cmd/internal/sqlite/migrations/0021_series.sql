-- Values over time, by day: what is written now is together, and a day that is
-- over can be dropped without looking at the others.
CREATE TABLE sample (
    day    INTEGER NOT NULL, -- of at: days since 1970, UTC
    device TEXT    NOT NULL,
    path   TEXT    NOT NULL,
    at     INTEGER NOT NULL, -- Unix microseconds, UTC: measured, or arrived
    kind   TEXT    NOT NULL, -- string, integer, …
    plain  TEXT    NOT NULL, -- LwM2M plain text
    source TEXT    NOT NULL, -- read, notify, send, write
    PRIMARY KEY (day, device, path, at)
) STRICT, WITHOUT ROWID;

-- How long values of a resource are kept where it is not the default.
CREATE TABLE series_rule (
    object   INTEGER NOT NULL,
    resource INTEGER NOT NULL,
    days     INTEGER NOT NULL, -- 0: not at all
    PRIMARY KEY (object, resource)
) STRICT, WITHOUT ROWID;
