-- Who made the key of a factory certificate.
CREATE TABLE key_origin (
    factory BLOB PRIMARY KEY, -- hash of the certificate
    origin  TEXT NOT NULL CHECK (origin IN ('device', 'provider', 'ca'))
) STRICT, WITHOUT ROWID;
