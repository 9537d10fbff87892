-- What each certificate costs: indexes of hashes are written at a page of their own
-- for each. A certificate's name finds those that name a factory certificate; those
-- of a key, which people ask for, are found in what lists read.
DROP INDEX certificate_factory;
DROP INDEX certificate_spki;
DROP INDEX certificate_page;
CREATE INDEX certificate_page
    ON certificate (id, name, serial, kind, profile, status, replaced_at, not_after, issuer, spki);
