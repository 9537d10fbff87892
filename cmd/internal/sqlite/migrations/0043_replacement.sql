-- Which device took the place of which. One that came back may be replaced again: the
-- last one counts.
CREATE TABLE device_replacement (
    replaced TEXT    PRIMARY KEY REFERENCES device ON DELETE CASCADE,
    device   TEXT    NOT NULL REFERENCES device ON DELETE CASCADE, -- that took its place
    at       INTEGER NOT NULL,                                     -- Unix microseconds, UTC
    actor    TEXT    NOT NULL,
    reason   TEXT    NOT NULL
) STRICT;

CREATE INDEX device_replacement_device ON device_replacement (device);
