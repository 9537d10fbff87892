-- name: password.by_id
SELECT id, hash, name, total, uses, state, expires_at, created_at, created_by, changed_at, version
  FROM enrol_password
 WHERE id = ?;

-- name: password.list
SELECT id, hash, name, total, uses, state, expires_at, created_at, created_by, changed_at, version
  FROM enrol_password
 WHERE ?1 = '' OR seq < (SELECT seq FROM enrol_password WHERE id = ?1)
 ORDER BY seq DESC
 LIMIT ?2;

-- name: password.insert
INSERT INTO enrol_password (id, hash, name, total, uses, state, expires_at, created_at, created_by, changed_at, version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
ON CONFLICT (id) DO NOTHING;

-- name: password.update
UPDATE enrol_password
   SET uses = ?3, state = ?4, changed_at = ?5, version = version + 1
 WHERE id = ?1 AND version = ?2;

-- name: certificate.had
SELECT COUNT(*) FROM certificate WHERE name = ? AND kind = 'operational';

-- name: certificate.holders
SELECT COUNT(*) FROM certificate WHERE name = ? AND kind = 'operational' AND status = 'valid';
