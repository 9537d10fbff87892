-- What lists and counts of certificates read, so that neither reads the
-- certificates themselves: in the order of pages, and in that of the counts.
CREATE INDEX certificate_page ON certificate (id, name, serial, kind, profile, status, replaced_at, not_after, issuer);
CREATE INDEX certificate_count ON certificate (kind, profile, status, replaced_at, not_after, issued_at);

-- People are told once for each certificate of the provider's own and each number
-- of days before its end.
CREATE TABLE certificate_warning (
    hash BLOB    NOT NULL,
    days INTEGER NOT NULL, -- left when it was given
    at   INTEGER NOT NULL, -- Unix microseconds, UTC
    PRIMARY KEY (hash, days)
) STRICT, WITHOUT ROWID;
