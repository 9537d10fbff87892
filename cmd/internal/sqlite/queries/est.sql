-- name: certificate.by_hash
SELECT hash, issuer, serial, spki, kind, profile, name, factory, not_before, not_after, issued_at,
       client, csr, supersedes, der, version, status, reason, why, revoked_at, used_at, replaced_by, replaced_at
  FROM certificate
 WHERE hash = ?;

-- name: certificate.position
SELECT id FROM certificate WHERE hash = ?;

-- name: certificate.insert
INSERT INTO certificate (hash, issuer, serial, spki, kind, profile, name, factory, not_before, not_after, issued_at,
       client, csr, supersedes, der, version, status, reason, why, revoked_at, used_at, replaced_by, replaced_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (hash) DO NOTHING;

-- name: certificate.update
UPDATE certificate
   SET version = version + 1, status = ?3, reason = ?4, why = ?5, revoked_at = ?6, used_at = ?7,
       replaced_by = ?8, replaced_at = ?9
 WHERE hash = ?1 AND version = ?2 AND (status = 'valid' OR ?3 = 'revoked');

-- name: certificate.version
SELECT version FROM certificate WHERE hash = ?;

-- The queries of an inventory page differ only in the condition that an index
-- serves; a parameter that is NULL selects all.

-- name: certificate.list
SELECT hash, issuer, serial, spki, kind, profile, name, factory, not_before, not_after, issued_at,
       client, csr, supersedes, der, version, status, reason, why, revoked_at, used_at, replaced_by, replaced_at
  FROM certificate
 WHERE id < ?1 AND (?3 IS NULL OR kind = ?3) AND (?4 IS NULL OR status = ?4) AND (?5 IS NULL OR name = ?5)
   AND (?6 IS NULL OR serial = ?6) AND (?7 IS NULL OR issuer = ?7) AND (?8 IS NULL OR factory = ?8)
   AND (?9 IS NULL OR spki = ?9) AND (?10 IS NULL OR client = ?10) AND (?11 IS NULL OR csr = ?11)
   AND (?12 IS NULL OR not_after < ?12) AND (?13 IS NULL OR replaced_at > 0 AND replaced_at < ?13)
 ORDER BY id DESC
 LIMIT ?2;

-- All certificates that name a factory certificate have the name of its right, or of
-- its device: no index of its own is needed to find them.

-- name: part.named_by_factory
name IN (SELECT endpoint FROM enrolment_right WHERE factory = ?8 UNION SELECT endpoint FROM device WHERE factory = ?8)

-- name: certificate.by_factory
SELECT hash, issuer, serial, spki, kind, profile, name, factory, not_before, not_after, issued_at,
       client, csr, supersedes, der, version, status, reason, why, revoked_at, used_at, replaced_by, replaced_at
  FROM certificate
 WHERE id < ?1 AND (?3 IS NULL OR kind = ?3) AND (?4 IS NULL OR status = ?4) AND (?5 IS NULL OR name = ?5)
   AND (?6 IS NULL OR serial = ?6) AND (?7 IS NULL OR issuer = ?7) AND factory = ?8 AND {part.named_by_factory}
   AND (?9 IS NULL OR spki = ?9) AND (?10 IS NULL OR client = ?10) AND (?11 IS NULL OR csr = ?11)
   AND (?12 IS NULL OR not_after < ?12) AND (?13 IS NULL OR replaced_at > 0 AND replaced_at < ?13)
 ORDER BY id DESC
 LIMIT ?2;

-- name: certificate.by_reason
SELECT hash, issuer, serial, spki, kind, profile, name, factory, not_before, not_after, issued_at,
       client, csr, supersedes, der, version, status, reason, why, revoked_at, used_at, replaced_by, replaced_at
  FROM certificate INDEXED BY certificate_reason
 WHERE status = 'revoked' AND reason = ?14 AND id < ?1 AND (?3 IS NULL OR kind = ?3)
   AND (?4 IS NULL OR status = ?4) AND (?5 IS NULL OR name = ?5)
   AND (?6 IS NULL OR serial = ?6) AND (?7 IS NULL OR issuer = ?7) AND (?8 IS NULL OR factory = ?8)
   AND (?9 IS NULL OR spki = ?9) AND (?10 IS NULL OR client = ?10) AND (?11 IS NULL OR csr = ?11)
   AND (?12 IS NULL OR not_after < ?12) AND (?13 IS NULL OR replaced_at > 0 AND replaced_at < ?13)
 ORDER BY id DESC
 LIMIT ?2;

-- name: certificate.by_spki
SELECT hash, issuer, serial, spki, kind, profile, name, factory, not_before, not_after, issued_at,
       client, csr, supersedes, der, version, status, reason, why, revoked_at, used_at, replaced_by, replaced_at
  FROM certificate
 WHERE id < ?1 AND (?3 IS NULL OR kind = ?3) AND (?4 IS NULL OR status = ?4) AND (?5 IS NULL OR name = ?5)
   AND (?6 IS NULL OR serial = ?6) AND (?7 IS NULL OR issuer = ?7) AND (?8 IS NULL OR factory = ?8)
   AND id IN (SELECT id FROM certificate INDEXED BY certificate_page WHERE spki = ?9 AND id < ?1)
   AND (?10 IS NULL OR client = ?10) AND (?11 IS NULL OR csr = ?11)
   AND (?12 IS NULL OR not_after < ?12) AND (?13 IS NULL OR replaced_at > 0 AND replaced_at < ?13)
 ORDER BY id DESC
 LIMIT ?2;

-- name: certificate.by_serial
SELECT hash, issuer, serial, spki, kind, profile, name, factory, not_before, not_after, issued_at,
       client, csr, supersedes, der, version, status, reason, why, revoked_at, used_at, replaced_by, replaced_at
  FROM certificate
 WHERE id < ?1 AND (?3 IS NULL OR kind = ?3) AND (?4 IS NULL OR status = ?4) AND (?5 IS NULL OR name = ?5)
   AND serial = ?6 AND (?7 IS NULL OR issuer = ?7) AND (?8 IS NULL OR factory = ?8)
   AND (?9 IS NULL OR spki = ?9) AND (?10 IS NULL OR client = ?10) AND (?11 IS NULL OR csr = ?11)
   AND (?12 IS NULL OR not_after < ?12) AND (?13 IS NULL OR replaced_at > 0 AND replaced_at < ?13)
 ORDER BY id DESC
 LIMIT ?2;

-- name: certificate.by_name
SELECT hash, issuer, serial, spki, kind, profile, name, factory, not_before, not_after, issued_at,
       client, csr, supersedes, der, version, status, reason, why, revoked_at, used_at, replaced_by, replaced_at
  FROM certificate
 WHERE id < ?1 AND (?3 IS NULL OR kind = ?3) AND (?4 IS NULL OR status = ?4) AND name = ?5
   AND (?6 IS NULL OR serial = ?6) AND (?7 IS NULL OR issuer = ?7) AND (?8 IS NULL OR factory = ?8)
   AND (?9 IS NULL OR spki = ?9) AND (?10 IS NULL OR client = ?10) AND (?11 IS NULL OR csr = ?11)
   AND (?12 IS NULL OR not_after < ?12) AND (?13 IS NULL OR replaced_at > 0 AND replaced_at < ?13)
 ORDER BY id DESC
 LIMIT ?2;

-- name: certificate.by_replaced
SELECT hash, issuer, serial, spki, kind, profile, name, factory, not_before, not_after, issued_at,
       client, csr, supersedes, der, version, status, reason, why, revoked_at, used_at, replaced_by, replaced_at
  FROM certificate
 WHERE id < ?1 AND (?3 IS NULL OR kind = ?3) AND (?4 IS NULL OR status = ?4) AND (?5 IS NULL OR name = ?5)
   AND (?6 IS NULL OR serial = ?6) AND (?7 IS NULL OR issuer = ?7) AND (?8 IS NULL OR factory = ?8)
   AND (?9 IS NULL OR spki = ?9) AND (?10 IS NULL OR client = ?10) AND (?11 IS NULL OR csr = ?11)
   AND (?12 IS NULL OR not_after < ?12) AND replaced_at > 0 AND replaced_at < ?13
 ORDER BY id DESC
 LIMIT ?2;

-- name: certificate.by_kind
SELECT hash, issuer, serial, spki, kind, profile, name, factory, not_before, not_after, issued_at,
       client, csr, supersedes, der, version, status, reason, why, revoked_at, used_at, replaced_by, replaced_at
  FROM certificate INDEXED BY certificate_count
 WHERE id < ?1 AND kind = ?3 AND (?4 IS NULL OR status = ?4) AND (?5 IS NULL OR name = ?5)
   AND (?6 IS NULL OR serial = ?6) AND (?7 IS NULL OR issuer = ?7) AND (?8 IS NULL OR factory = ?8)
   AND (?9 IS NULL OR spki = ?9) AND (?10 IS NULL OR client = ?10) AND (?11 IS NULL OR csr = ?11)
   AND (?12 IS NULL OR not_after < ?12) AND (?13 IS NULL OR replaced_at > 0 AND replaced_at < ?13)
 ORDER BY id DESC
 LIMIT ?2;

-- name: right.by_factory
SELECT factory, factory_der, endpoint, state, epoch, spki, issued, from_at, until_at, changed_at, version
  FROM enrolment_right
 WHERE factory = ?;

-- name: right.list
SELECT factory, factory_der, endpoint, state, epoch, spki, issued, from_at, until_at, changed_at, version
  FROM enrolment_right
 WHERE factory > ?
 ORDER BY factory
 LIMIT ?;

-- name: right.by_endpoint
SELECT factory, factory_der, endpoint, state, epoch, spki, issued, from_at, until_at, changed_at, version
  FROM enrolment_right
 WHERE endpoint = ? AND factory > ?
 ORDER BY factory
 LIMIT ?;

-- name: right.holders
SELECT COUNT(*) FROM enrolment_right WHERE endpoint = ? AND state <> 'deleted';

-- name: right.insert
INSERT INTO enrolment_right (factory, factory_der, endpoint, state, epoch, spki, issued, from_at, until_at,
       changed_at, version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
ON CONFLICT (factory) DO NOTHING;

-- name: right.named
SELECT COUNT(*) FROM enrolment_right WHERE factory = ?;

-- name: right.rename
UPDATE enrolment_right SET factory = ?3, factory_der = ?4 WHERE factory = ?1 AND version = ?2;

-- The right has its new name already.

-- name: certificate.rename
UPDATE certificate
   SET factory = ?2
 WHERE factory = ?1
   AND name IN (SELECT endpoint FROM enrolment_right WHERE factory = ?2
                 UNION SELECT endpoint FROM device WHERE factory = ?1);

-- name: right.update
UPDATE enrolment_right
   SET state = ?3, epoch = ?4, spki = ?5, issued = ?6, from_at = ?7, until_at = ?8,
       changed_at = ?9, version = version + 1
 WHERE factory = ?1 AND version = ?2;
