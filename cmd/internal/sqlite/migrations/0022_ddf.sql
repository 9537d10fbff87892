-- Objects that people defined beside those that the program knows.
CREATE TABLE object_definition (
    object   INTEGER NOT NULL,
    version  TEXT    NOT NULL,
    document BLOB    NOT NULL, -- XML, with this object and perhaps others
    added_at INTEGER NOT NULL, -- Unix microseconds, UTC
    added_by TEXT    NOT NULL,
    PRIMARY KEY (object, version)
) STRICT, WITHOUT ROWID;
