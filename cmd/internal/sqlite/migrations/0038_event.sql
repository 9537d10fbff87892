CREATE TABLE event (
    id      INTEGER NOT NULL PRIMARY KEY, -- ascending; some are left out
    at      INTEGER NOT NULL,             -- Unix microseconds, UTC
    type    TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    data    TEXT    NOT NULL              -- JSON, '' is none
) STRICT;
