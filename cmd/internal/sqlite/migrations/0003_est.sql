CREATE TABLE certificate (
    id          INTEGER PRIMARY KEY AUTOINCREMENT, -- order of issue
    hash        BLOB    NOT NULL UNIQUE,  -- SHA-256 of der
    issuer      BLOB,                     -- hash of the issuer's certificate; NULL: not known here
    serial      TEXT    NOT NULL,         -- lower-case hex
    spki        BLOB    NOT NULL,         -- SHA-256 of the SubjectPublicKeyInfo
    kind        TEXT    NOT NULL,         -- root, issuing, server, peer, …-signer, factory, operational, factory-ca
    profile     TEXT    NOT NULL,
    name        TEXT    NOT NULL,         -- commonName
    factory     BLOB,                     -- hash of the device's factory certificate; NULL: none
    not_before  INTEGER NOT NULL,         -- Unix microseconds, UTC
    not_after   INTEGER NOT NULL,         -- Unix microseconds, UTC
    issued_at   INTEGER NOT NULL,         -- Unix microseconds, UTC
    client      BLOB,                     -- hash of the certificate that asked; NULL: nobody
    csr         BLOB,                     -- SHA-256 of the request; NULL: none
    supersedes  BLOB,                     -- hash of the certificate that it renews; NULL: none
    der         BLOB    NOT NULL,
    version     INTEGER NOT NULL,         -- of the columns below
    status      TEXT    NOT NULL CHECK (status IN ('valid', 'revoked')),
    reason      TEXT    NOT NULL,         -- CRLReason by name; empty unless revoked
    why         TEXT    NOT NULL,         -- in words; empty unless revoked
    revoked_at  INTEGER NOT NULL,         -- Unix microseconds, UTC; 0: not
    used_at     INTEGER NOT NULL,         -- first use seen of a renewing certificate; 0: none
    replaced_by BLOB,                     -- hash of the certificate that renews it; NULL: none
    replaced_at INTEGER NOT NULL          -- Unix microseconds, UTC; 0: not
) STRICT;

CREATE UNIQUE INDEX certificate_serial ON certificate (serial, issuer);
CREATE INDEX certificate_name ON certificate (name);
CREATE INDEX certificate_spki ON certificate (spki);
CREATE INDEX certificate_kind ON certificate (kind, status);
CREATE INDEX certificate_status ON certificate (status);
CREATE INDEX certificate_not_after ON certificate (not_after);
CREATE INDEX certificate_factory ON certificate (factory) WHERE factory IS NOT NULL;
CREATE INDEX certificate_request ON certificate (client, csr) WHERE client IS NOT NULL;
CREATE INDEX certificate_replaced ON certificate (replaced_at) WHERE replaced_at > 0 AND status = 'valid';

-- Whatever a program does: nothing leads back from revoked.
CREATE TRIGGER certificate_stays_revoked BEFORE UPDATE OF status ON certificate
WHEN OLD.status = 'revoked' AND NEW.status <> 'revoked'
BEGIN
    SELECT RAISE(ABORT, 'certificate is revoked');
END;

CREATE TABLE enrolment_right (
    factory     BLOB    PRIMARY KEY,      -- SHA-256 of factory_der
    factory_der BLOB    NOT NULL,
    endpoint    TEXT    NOT NULL,
    state       TEXT    NOT NULL,         -- closed, open, consumed, suspended, deleted
    epoch       INTEGER NOT NULL,         -- grants so far
    spki        BLOB,                     -- the key it is bound to; NULL: any
    issued      BLOB,                     -- hash of the newest certificate; NULL: none
    from_at     INTEGER NOT NULL,         -- Unix microseconds, UTC; 0: no limit
    until_at    INTEGER NOT NULL,         -- Unix microseconds, UTC; 0: no limit
    changed_at  INTEGER NOT NULL,         -- Unix microseconds, UTC
    version     INTEGER NOT NULL
) STRICT;

CREATE INDEX enrolment_right_endpoint ON enrolment_right (endpoint);
CREATE UNIQUE INDEX enrolment_right_holder ON enrolment_right (endpoint) WHERE state <> 'deleted';
