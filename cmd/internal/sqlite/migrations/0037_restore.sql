-- Rights that were open in a backup, and were closed when it was restored, until
-- people decide about them.
CREATE TABLE restored_right (
    factory BLOB PRIMARY KEY REFERENCES enrolment_right ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
