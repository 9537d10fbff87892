CREATE TABLE key_generation (
    purpose     TEXT    NOT NULL, -- root, issuing, suit, …
    number      INTEGER NOT NULL, -- from 1
    state       TEXT    NOT NULL, -- next, active, past
    certificate BLOB    NOT NULL, -- SHA-256 of DER; zeros: none
    made_at     INTEGER NOT NULL, -- Unix microseconds, UTC
    changed_at  INTEGER NOT NULL, -- Unix microseconds, UTC
    PRIMARY KEY (purpose, number)
) STRICT;

-- No purpose has two of them.
CREATE UNIQUE INDEX key_generation_state ON key_generation (purpose, state) WHERE state IN ('next', 'active');
