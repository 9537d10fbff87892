CREATE TABLE credential (
    kind       TEXT    NOT NULL, -- link, session, token
    hash       BLOB    NOT NULL, -- SHA-256 of the secret, which is not kept
    name       TEXT    NOT NULL, -- of the person or token
    role       TEXT    NOT NULL, -- viewer, operator, admin
    created_at INTEGER NOT NULL, -- Unix microseconds, UTC
    seen_at    INTEGER NOT NULL, -- Unix microseconds, UTC: last use, to about a minute
    expires_at INTEGER,          -- Unix microseconds, UTC; NULL: never
    PRIMARY KEY (kind, hash)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX credential_token ON credential (name) WHERE kind = 'token';
