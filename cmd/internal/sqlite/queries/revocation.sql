-- name: certificate.revoked
SELECT hash, issuer, serial, not_after, revoked_at, reason
  FROM certificate
 WHERE status = 'revoked' AND issuer = ? AND not_after >= ?;

-- name: certificate.revoked_all
SELECT hash, issuer, serial, not_after, revoked_at, reason
  FROM certificate
 WHERE status = 'revoked' AND not_after >= ?;
