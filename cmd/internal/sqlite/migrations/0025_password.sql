CREATE TABLE enrol_password (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT, -- order of making
    id         TEXT    NOT NULL UNIQUE,  -- user name
    hash       BLOB    NOT NULL,         -- SHA-256 of the random secret
    name       TEXT    NOT NULL,         -- endpoint, or a pattern with one *
    total      INTEGER NOT NULL,         -- names that may be enrolled
    uses       INTEGER NOT NULL CHECK (uses >= 0), -- of them, those that still may be
    state      TEXT    NOT NULL,         -- open, used, withdrawn
    expires_at INTEGER NOT NULL,         -- Unix microseconds, UTC
    created_at INTEGER NOT NULL,         -- Unix microseconds, UTC
    created_by TEXT    NOT NULL,         -- actor
    changed_at INTEGER NOT NULL,         -- Unix microseconds, UTC
    version    INTEGER NOT NULL
) STRICT;

CREATE TABLE upstream_errand (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT, -- order of asking
    id         TEXT    NOT NULL UNIQUE,
    state      TEXT    NOT NULL,         -- waiting, ready, issued, refused, withdrawn
    client     BLOB    NOT NULL,         -- hash of the certificate that asked
    name       TEXT    NOT NULL,         -- commonName of the certificate to be
    request    BLOB    NOT NULL,         -- PKCS#10
    csr        BLOB    NOT NULL,         -- SHA-256 of request
    spki       BLOB    NOT NULL,         -- SHA-256 of its SubjectPublicKeyInfo
    answer     BLOB    NOT NULL,         -- certificates, the leaf first; empty: none yet
    tries      INTEGER NOT NULL,
    next_at    INTEGER NOT NULL,         -- Unix microseconds, UTC
    reason     TEXT    NOT NULL,         -- in words
    created_at INTEGER NOT NULL,         -- Unix microseconds, UTC
    changed_at INTEGER NOT NULL,         -- Unix microseconds, UTC
    version    INTEGER NOT NULL
) STRICT;

CREATE INDEX upstream_errand_request ON upstream_errand (client, csr);
CREATE INDEX upstream_errand_state ON upstream_errand (state, next_at);
CREATE UNIQUE INDEX upstream_errand_open ON upstream_errand (client) WHERE state IN ('waiting', 'ready');
