-- How a device that was retired has been erased, and what proves it.
CREATE TABLE device_retirement (
    device TEXT    PRIMARY KEY REFERENCES device ON DELETE CASCADE,
    at     INTEGER NOT NULL, -- Unix microseconds, UTC
    said   TEXT    NOT NULL, -- what came of it, in words
    level  TEXT    NOT NULL CHECK (level IN ('known', 'inferred', 'not')),
    record BLOB    NOT NULL  -- transfer.RetirementRecord; empty: the device has signed nothing
) STRICT;
