CREATE TABLE person (
    name         TEXT    PRIMARY KEY,
    display      TEXT    NOT NULL,
    role         TEXT    NOT NULL, -- viewer, operator, release, security, admin; several joined by +
    scope        TEXT    NOT NULL, -- names of groups joined by commas; '': all devices
    state        TEXT    NOT NULL, -- active, disabled
    password     TEXT    NOT NULL, -- Argon2id in PHC format; '': none
    renew        INTEGER NOT NULL, -- 1: another password at the next sign-in
    subject      TEXT    UNIQUE,   -- OpenID Connect: issuer, blank, subject; NULL: none
    handle       BLOB    NOT NULL UNIQUE, -- what passkeys call the person
    created_at   INTEGER NOT NULL, -- Unix microseconds, UTC
    signed_in_at INTEGER,          -- Unix microseconds, UTC; NULL: never
    version      INTEGER NOT NULL
) STRICT;

CREATE TABLE passkey (
    id         BLOB    PRIMARY KEY, -- of the credential, chosen by the authenticator
    owner      TEXT    NOT NULL REFERENCES person (name),
    name       TEXT    NOT NULL,
    record     TEXT    NOT NULL, -- JSON: public key, counter, flags
    created_at INTEGER NOT NULL, -- Unix microseconds, UTC
    used_at    INTEGER           -- Unix microseconds, UTC; NULL: never
) STRICT;

CREATE INDEX passkey_owner ON passkey (owner);

ALTER TABLE credential ADD COLUMN owner   TEXT NOT NULL DEFAULT ''; -- the person; '': a token of nobody
ALTER TABLE credential ADD COLUMN scope   TEXT NOT NULL DEFAULT ''; -- as person.scope
ALTER TABLE credential ADD COLUMN prefix  TEXT NOT NULL DEFAULT ''; -- of a token: its paths; '': all
ALTER TABLE credential ADD COLUMN method  TEXT NOT NULL DEFAULT ''; -- of a session: link, password, passkey, oidc
ALTER TABLE credential ADD COLUMN address TEXT NOT NULL DEFAULT ''; -- of a session: from where
ALTER TABLE credential ADD COLUMN agent   TEXT NOT NULL DEFAULT ''; -- of a session: what the browser calls itself

UPDATE credential SET owner = name WHERE kind <> 'token';

-- Those who are signed in stay so.
INSERT INTO person (name, display, role, scope, state, password, renew, handle, created_at, signed_in_at, version)
SELECT name, '', role, '', 'active', '', 0, randomblob(32), MIN(created_at), MAX(created_at), 1
  FROM credential
 WHERE kind = 'session'
 GROUP BY name;

DELETE FROM credential WHERE kind = 'link' AND name NOT IN (SELECT name FROM person);

DROP INDEX credential_token;
CREATE UNIQUE INDEX credential_token ON credential (owner, name) WHERE kind = 'token';
CREATE INDEX credential_owner ON credential (owner, kind);
