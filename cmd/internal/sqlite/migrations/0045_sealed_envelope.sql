-- What a device that has not enrolled was given last of a release whose image holds
-- secrets: a manifest of its own, with the key of the image encrypted to the device's.
CREATE TABLE sealed_envelope (
    device   TEXT PRIMARY KEY REFERENCES device ON DELETE CASCADE,
    release  TEXT NOT NULL, -- ULID
    key      BLOB NOT NULL, -- SHA-256 of the SubjectPublicKeyInfo that it is encrypted to
    manifest BLOB NOT NULL, -- digest, encoded
    envelope BLOB NOT NULL
) STRICT, WITHOUT ROWID;
