-- Parameters of certificates: before, limit, text (a LIKE pattern), state, now, the time before
-- which a renewed one was replaced for good, kind, profile, issuer, then the
-- factory certificate or the key. The inner queries read indexes only.

-- name: view.certificates
SELECT c.hash, c.issuer, c.serial, c.spki, c.kind, c.profile, c.name, c.factory, c.not_before, c.not_after,
       c.issued_at, c.client, c.csr, c.supersedes, c.der, c.version, c.status, c.reason, c.why, c.revoked_at,
       c.used_at, c.replaced_by, c.replaced_at,
       COALESCE((SELECT d.id FROM device d WHERE d.factory = c.factory), '')
  FROM certificate c
 WHERE c.id IN (
        SELECT id FROM certificate INDEXED BY certificate_page
         WHERE id < ?1
           AND (?3 IS NULL OR name LIKE ?3 ESCAPE '\' OR serial LIKE ?3 ESCAPE '\')
           AND (?4 IS NULL
                OR ?4 = 'revoked' AND (status = 'revoked' OR replaced_at > 0 AND replaced_at <= ?6)
                OR status = 'valid' AND (replaced_at = 0 OR replaced_at > ?6)
                   AND ?4 = CASE WHEN not_after >= ?5 THEN 'live' ELSE 'expired' END)
           AND (?7 IS NULL OR kind = ?7) AND (?8 IS NULL OR profile = ?8) AND (?9 IS NULL OR issuer = ?9)
         ORDER BY id DESC
         LIMIT ?2)
 ORDER BY c.id DESC;

-- name: view.certificates_of_device
SELECT c.hash, c.issuer, c.serial, c.spki, c.kind, c.profile, c.name, c.factory, c.not_before, c.not_after,
       c.issued_at, c.client, c.csr, c.supersedes, c.der, c.version, c.status, c.reason, c.why, c.revoked_at,
       c.used_at, c.replaced_by, c.replaced_at,
       COALESCE((SELECT d.id FROM device d WHERE d.factory = c.factory), '')
  FROM certificate c
 WHERE c.id IN (
        SELECT id FROM certificate
         WHERE factory = ?10 AND id < ?1
           AND name IN (SELECT endpoint FROM enrolment_right WHERE factory = ?10
                         UNION SELECT endpoint FROM device WHERE factory = ?10)
           AND (?3 IS NULL OR name LIKE ?3 ESCAPE '\' OR serial LIKE ?3 ESCAPE '\')
           AND (?4 IS NULL
                OR ?4 = 'revoked' AND (status = 'revoked' OR replaced_at > 0 AND replaced_at <= ?6)
                OR status = 'valid' AND (replaced_at = 0 OR replaced_at > ?6)
                   AND ?4 = CASE WHEN not_after >= ?5 THEN 'live' ELSE 'expired' END)
           AND (?7 IS NULL OR kind = ?7) AND (?8 IS NULL OR profile = ?8) AND (?9 IS NULL OR issuer = ?9)
         ORDER BY id DESC
         LIMIT ?2)
 ORDER BY c.id DESC;

-- name: view.certificates_of_key
SELECT c.hash, c.issuer, c.serial, c.spki, c.kind, c.profile, c.name, c.factory, c.not_before, c.not_after,
       c.issued_at, c.client, c.csr, c.supersedes, c.der, c.version, c.status, c.reason, c.why, c.revoked_at,
       c.used_at, c.replaced_by, c.replaced_at,
       COALESCE((SELECT d.id FROM device d WHERE d.factory = c.factory), '')
  FROM certificate c
 WHERE c.id IN (
        SELECT id FROM certificate INDEXED BY certificate_page
         WHERE spki = ?10 AND id < ?1
           AND (?3 IS NULL OR name LIKE ?3 ESCAPE '\' OR serial LIKE ?3 ESCAPE '\')
           AND (?4 IS NULL
                OR ?4 = 'revoked' AND (status = 'revoked' OR replaced_at > 0 AND replaced_at <= ?6)
                OR status = 'valid' AND (replaced_at = 0 OR replaced_at > ?6)
                   AND ?4 = CASE WHEN not_after >= ?5 THEN 'live' ELSE 'expired' END)
           AND (?7 IS NULL OR kind = ?7) AND (?8 IS NULL OR profile = ?8) AND (?9 IS NULL OR issuer = ?9)
         ORDER BY id DESC
         LIMIT ?2)
 ORDER BY c.id DESC;

-- Those that end soon, the first one first: until, and the place of the last of the
-- page before in parameters 10 to 12.

-- name: view.certificates_ending
SELECT c.hash, c.issuer, c.serial, c.spki, c.kind, c.profile, c.name, c.factory, c.not_before, c.not_after,
       c.issued_at, c.client, c.csr, c.supersedes, c.der, c.version, c.status, c.reason, c.why, c.revoked_at,
       c.used_at, c.replaced_by, c.replaced_at,
       COALESCE((SELECT d.id FROM device d WHERE d.factory = c.factory), '')
  FROM certificate c
 WHERE c.id IN (
        SELECT id FROM certificate INDEXED BY certificate_live
         WHERE status = 'valid' AND not_after >= ?5 AND not_after < ?10 AND (not_after, id) > (?11, ?12)
           AND (replaced_at = 0 OR replaced_at > ?6)
           AND (?3 IS NULL OR name LIKE ?3 ESCAPE '\' OR serial LIKE ?3 ESCAPE '\')
           AND (?4 IS NULL OR ?4 = 'live')
           AND (?7 IS NULL OR kind = ?7) AND (?8 IS NULL OR profile = ?8) AND (?9 IS NULL OR issuer = ?9)
           AND ?1 > 0
         ORDER BY not_after, id
         LIMIT ?2)
 ORDER BY c.not_after, c.id;

-- name: view.certificate
SELECT c.hash, c.issuer, c.serial, c.spki, c.kind, c.profile, c.name, c.factory, c.not_before, c.not_after,
       c.issued_at, c.client, c.csr, c.supersedes, c.der, c.version, c.status, c.reason, c.why, c.revoked_at,
       c.used_at, c.replaced_by, c.replaced_at,
       COALESCE((SELECT d.id FROM device d WHERE d.factory = c.factory), '')
  FROM certificate c
 WHERE c.hash = ?;

-- name: view.certificate_counts
SELECT COUNT(*), COUNT(*) FILTER (WHERE not_after < ?3)
  FROM certificate INDEXED BY certificate_live -- the planner would read all that are valid
 WHERE status = 'valid' AND not_after >= ?1 AND (replaced_at = 0 OR replaced_at > ?2);

-- Parameters: now, the time before which a renewed one was replaced for good, then
-- a day ago and thirty.

-- name: view.certificate_kinds
SELECT kind, profile, COUNT(*),
       COUNT(*) FILTER (WHERE status = 'valid' AND not_after >= ?1 AND (replaced_at = 0 OR replaced_at > ?2)),
       COUNT(*) FILTER (WHERE status = 'revoked' OR replaced_at > 0 AND replaced_at <= ?2),
       COUNT(*) FILTER (WHERE issued_at >= ?3), COUNT(*) FILTER (WHERE issued_at >= ?4)
  FROM certificate INDEXED BY certificate_count
 GROUP BY kind, profile
 ORDER BY kind, profile;

-- Parameters: now, the time before which a renewed one was replaced for good, until.

-- name: view.certificate_ends
SELECT (not_after - ?1) / 86400000000 AS day, COUNT(*)
  FROM certificate INDEXED BY certificate_live
 WHERE status = 'valid' AND not_after >= ?1 AND not_after < ?3 AND (replaced_at = 0 OR replaced_at > ?2)
 GROUP BY day
 ORDER BY day;

-- Devices have nearly all certificates: three ranges leave theirs out.

-- name: view.own_certificates
SELECT c.hash, c.issuer, c.serial, c.spki, c.kind, c.profile, c.name, c.factory, c.not_before, c.not_after,
       c.issued_at, c.client, c.csr, c.supersedes, c.der, c.version, c.status, c.reason, c.why, c.revoked_at,
       c.used_at, c.replaced_by, c.replaced_at,
       COALESCE((SELECT d.id FROM device d WHERE d.factory = c.factory), '')
  FROM certificate c
 WHERE c.id IN (
        SELECT id FROM certificate INDEXED BY certificate_count
         WHERE kind < 'factory' AND status = 'valid' AND not_after >= ?1 AND not_after < ?3
           AND (replaced_at = 0 OR replaced_at > ?2)
         UNION ALL
        SELECT id FROM certificate INDEXED BY certificate_count
         WHERE kind > 'factory' AND kind < 'operational' AND status = 'valid' AND not_after >= ?1 AND not_after < ?3
           AND (replaced_at = 0 OR replaced_at > ?2)
         UNION ALL
        SELECT id FROM certificate INDEXED BY certificate_count
         WHERE kind > 'operational' AND status = 'valid' AND not_after >= ?1 AND not_after < ?3
           AND (replaced_at = 0 OR replaced_at > ?2))
 ORDER BY c.not_after, c.id
 LIMIT ?4;

-- name: certificate.place
SELECT not_after, id FROM certificate WHERE hash = ?;

-- name: certificate.warn
INSERT INTO certificate_warning (hash, days, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING;
