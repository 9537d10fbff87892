-- What CRLs are made of, without a look at the certificates.
CREATE INDEX certificate_revoked ON certificate (issuer, not_after, serial, revoked_at, reason, hash)
 WHERE status = 'revoked';
