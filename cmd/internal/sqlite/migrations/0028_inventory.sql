-- What lists and counts of certificates read, so that neither reads the
-- certificates themselves: in the order of pages, and in that of the counts.
CREATE INDEX certificate_page ON certificate (id, name, serial, kind, profile, status, replaced_at, not_after, issuer);
CREATE INDEX certificate_count ON certificate (kind, profile, status, replaced_at, not_after, issued_at);

-- Few are revoked for a reason that is asked for.
CREATE INDEX certificate_reason ON certificate (reason, id) WHERE status = 'revoked';

-- What these served is served by others: requests by the key that they are for.
DROP INDEX certificate_request;
DROP INDEX certificate_status;
DROP INDEX certificate_not_after;
DROP INDEX certificate_kind;

-- People are told once for each certificate of the provider's own and each number
-- of days before its end.
CREATE TABLE certificate_warning (
    hash BLOB    NOT NULL,
    days INTEGER NOT NULL, -- left when it was given
    at   INTEGER NOT NULL, -- Unix microseconds, UTC
    PRIMARY KEY (hash, days)
) STRICT, WITHOUT ROWID;
