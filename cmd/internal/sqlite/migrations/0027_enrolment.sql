CREATE TABLE enrolment (
    device      TEXT    PRIMARY KEY REFERENCES device ON DELETE CASCADE,
    state       TEXT    NOT NULL,     -- good, due, asked, renewed, failed, expired, revoked, left
    certificate BLOB,                 -- hash of the newest; NULL: none
    profile     TEXT    NOT NULL,     -- of that certificate
    issued_at   INTEGER NOT NULL,     -- Unix microseconds, UTC; 0: never
    not_after   INTEGER NOT NULL,     -- Unix microseconds, UTC; 0: never
    proven      INTEGER NOT NULL,     -- 1: that certificate was used
    due_at      INTEGER NOT NULL,     -- next look, Unix microseconds, UTC; 0: none
    want        TEXT    NOT NULL,     -- renew, rekey
    tries       INTEGER NOT NULL,     -- that failed in this round
    why         TEXT    NOT NULL,     -- the last failure in words; empty: none
    failed_at   INTEGER NOT NULL,     -- Unix microseconds, UTC; 0: none
    changed_at  INTEGER NOT NULL,     -- Unix microseconds, UTC
    version     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX enrolment_due ON enrolment (due_at, device) WHERE due_at > 0;
CREATE INDEX enrolment_trouble ON enrolment (state) WHERE state <> 'good';

-- Up to which certificate, in the order of issue, the table follows the inventory.
CREATE TABLE enrolment_feed (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    position INTEGER NOT NULL
) STRICT;

INSERT INTO enrolment_feed (id, position) VALUES (1, 0);
