-- How often devices prove what they run.
CREATE TABLE attestation_rule (
    tag   TEXT    NOT NULL PRIMARY KEY, -- of the devices; '': those of no other rule
    every INTEGER NOT NULL              -- seconds; 0: never
) STRICT, WITHOUT ROWID;

-- How devices stand with their proofs.
CREATE TABLE attestation_round (
    device    TEXT    PRIMARY KEY REFERENCES device ON DELETE CASCADE,
    state     TEXT    NOT NULL, -- unproved, good, bad, mute
    since     INTEGER NOT NULL, -- of the state, Unix microseconds, UTC; 0: it never changed
    every     INTEGER NOT NULL, -- seconds, by which the next was planned; 0: it is not asked
    due_at    INTEGER NOT NULL, -- Unix microseconds, UTC; 0: none is planned
    waiting   INTEGER NOT NULL, -- 1: to be asked when it listens
    tries     INTEGER NOT NULL, -- that failed since the last verdict
    why       TEXT    NOT NULL, -- the last failure in words; empty: none
    tier      INTEGER NOT NULL, -- of the last verdict
    reason    TEXT    NOT NULL, -- of the last verdict
    judged_at INTEGER NOT NULL, -- Unix microseconds, UTC; 0: never
    version   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX attestation_round_due ON attestation_round (due_at, device) WHERE due_at > 0;
CREATE INDEX attestation_round_waiting ON attestation_round (device) WHERE waiting = 1;
CREATE INDEX attestation_round_trouble ON attestation_round (state, device) WHERE state IN ('bad', 'mute');
