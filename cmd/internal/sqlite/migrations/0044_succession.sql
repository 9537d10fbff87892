-- Which factory certificate has taken the place of which, and the proof by the key before.
CREATE TABLE factory_succession (
    factory    BLOB    PRIMARY KEY, -- SHA-256 of the new certificate
    former     BLOB    NOT NULL,    -- of the one before
    new_der    BLOB    NOT NULL,
    former_der BLOB    NOT NULL,
    proof      BLOB    NOT NULL,    -- COSE_Sign1; empty: the device showed none
    at         INTEGER NOT NULL     -- Unix microseconds, UTC
) STRICT, WITHOUT ROWID;
