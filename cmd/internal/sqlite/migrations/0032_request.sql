-- Private keys that were made for devices, until a device cannot ask again.
CREATE TABLE sealed_key (
    client      BLOB    NOT NULL,         -- hash of the certificate that asked
    csr         BLOB    NOT NULL,         -- SHA-256 of the request
    certificate BLOB    NOT NULL,         -- hash of the certificate for the key
    sealed      BLOB    NOT NULL,         -- PKCS#8, encrypted by the key of the data directory
    until_at    INTEGER NOT NULL,         -- Unix microseconds, UTC
    PRIMARY KEY (client, csr)
) STRICT;

CREATE INDEX sealed_key_until ON sealed_key (until_at);

-- The newest request of each client that needed the approval of a person.
CREATE TABLE approval (
    client      BLOB    PRIMARY KEY,      -- hash of the certificate that asks
    csr         BLOB    NOT NULL,         -- SHA-256 of the request
    spki        BLOB,                     -- its key; NULL: to be made here
    endpoint    TEXT    NOT NULL,
    profile     TEXT    NOT NULL,
    state       TEXT    NOT NULL,         -- waiting, approved, refused, used
    asked_at    INTEGER NOT NULL,         -- Unix microseconds, UTC
    decided_at  INTEGER NOT NULL,         -- Unix microseconds, UTC; 0: not yet
    by_whom     TEXT    NOT NULL,
    why         TEXT    NOT NULL,         -- in words
    version     INTEGER NOT NULL
) STRICT;

CREATE INDEX approval_state ON approval (state, client);
