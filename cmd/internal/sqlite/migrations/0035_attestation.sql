-- What is known of devices before they attest.
CREATE TABLE attester (
    device     BLOB    PRIMARY KEY, -- SHA-256 of the factory certificate
    key        BLOB    NOT NULL,    -- public COSE_Key
    refs       TEXT    NOT NULL,    -- JSON: digests that components may have
    boot_count INTEGER NOT NULL,    -- the highest seen
    at         INTEGER NOT NULL     -- Unix microseconds, UTC
) STRICT, WITHOUT ROWID;

-- Verdicts given, each signed.
CREATE TABLE attestation (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    device     BLOB    NOT NULL,
    tier       INTEGER NOT NULL, -- 0 none, 1 affirming, 2 warning, 3 contraindicated
    reason     TEXT    NOT NULL,
    verdict    BLOB    NOT NULL, -- COSE_Sign1
    transfer   TEXT    NOT NULL, -- '': of none
    boot_count INTEGER NOT NULL,
    at         INTEGER NOT NULL  -- Unix microseconds, UTC
) STRICT;

CREATE INDEX attestation_device ON attestation (device, seq);
