-- What the providers signed in the course of a transfer, beside the documents that it
-- goes by: extensions of its window, revisions, statuses.
CREATE TABLE transfer_paper (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT, -- order of arrival
    transfer TEXT    NOT NULL REFERENCES transfer (id) ON DELETE CASCADE,
    kind     TEXT    NOT NULL,
    raw      BLOB    NOT NULL,
    at       INTEGER NOT NULL -- Unix microseconds, UTC
) STRICT;

CREATE INDEX transfer_paper_transfer ON transfer_paper (transfer);
