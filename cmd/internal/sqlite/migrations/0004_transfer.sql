CREATE TABLE partner (
    id      TEXT    PRIMARY KEY, -- ULID
    name    TEXT    NOT NULL UNIQUE,
    tls     BLOB    UNIQUE,      -- SHA-256 of the pinned TLS key; NULL: a service user
    details TEXT    NOT NULL,    -- JSON of the rest
    version INTEGER NOT NULL     -- rises with each change
) STRICT;

CREATE TABLE transfer (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT, -- order of arrival
    id      TEXT    NOT NULL UNIQUE,           -- hex, the same at both providers
    partner TEXT    NOT NULL REFERENCES partner,
    state   TEXT    NOT NULL,
    due     INTEGER NOT NULL,                  -- Unix microseconds, UTC; 0: when something happens
    details TEXT    NOT NULL,                  -- JSON of the rest
    version INTEGER NOT NULL                   -- rises with each change
) STRICT;

CREATE INDEX transfer_due ON transfer (due) WHERE due > 0;

CREATE TABLE transfer_document (
    transfer TEXT PRIMARY KEY REFERENCES transfer (id) ON DELETE CASCADE,
    mandate  BLOB, -- COSE_Sign1
    info     BLOB, -- JWS
    answer   BLOB, -- CBOR
    offer    BLOB  -- COSE_Sign1
) STRICT;

CREATE TABLE transfer_row (
    transfer TEXT    NOT NULL REFERENCES transfer (id) ON DELETE CASCADE,
    short    TEXT    NOT NULL, -- hex of the first half of factory
    factory  BLOB    NOT NULL, -- SHA-256 of the factory certificate
    state    TEXT    NOT NULL,
    ended    INTEGER NOT NULL, -- 1: in a state that it does not leave
    pending  INTEGER NOT NULL, -- effects still to be performed
    due      INTEGER NOT NULL, -- Unix microseconds, UTC; 0: when something happens
    details  TEXT    NOT NULL, -- JSON of the rest
    version  INTEGER NOT NULL, -- rises with each change
    PRIMARY KEY (transfer, short)
) STRICT, WITHOUT ROWID;

CREATE INDEX transfer_row_due ON transfer_row (due) WHERE due > 0;
CREATE INDEX transfer_row_factory ON transfer_row (factory);
CREATE INDEX transfer_row_state ON transfer_row (transfer, state);
CREATE UNIQUE INDEX transfer_row_open ON transfer_row (factory) WHERE ended = 0;

CREATE TABLE transfer_receipt (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT, -- order of arrival
    transfer TEXT    NOT NULL,
    short    TEXT    NOT NULL,
    hash     BLOB    NOT NULL,
    state    TEXT    NOT NULL, -- of the device, as the receipt says
    raw      BLOB    NOT NULL, -- COSE_Sign, tagged
    at       INTEGER NOT NULL, -- Unix microseconds, UTC: when it reached us
    UNIQUE (transfer, short, hash),
    FOREIGN KEY (transfer, short) REFERENCES transfer_row ON DELETE CASCADE
) STRICT;

CREATE TABLE transfer_answer (
    partner TEXT    NOT NULL REFERENCES partner ON DELETE CASCADE,
    key     TEXT    NOT NULL, -- of idempotency
    request BLOB    NOT NULL, -- SHA-256
    type    TEXT    NOT NULL, -- media type of body; empty: no body
    body    BLOB,
    at      INTEGER NOT NULL, -- Unix microseconds, UTC
    PRIMARY KEY (partner, key)
) STRICT, WITHOUT ROWID;
