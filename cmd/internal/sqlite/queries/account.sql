-- name: account.put
INSERT INTO credential (kind, hash, name, role, created_at, seen_at, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: account.replace_token
DELETE FROM credential WHERE kind = 'token' AND name = ?;

-- name: account.get
SELECT kind, hash, name, role, created_at, seen_at, expires_at
  FROM credential
 WHERE kind = ? AND hash = ?;

-- name: account.touch
UPDATE credential SET seen_at = ? WHERE kind = ? AND hash = ?;

-- name: account.end
DELETE FROM credential WHERE kind = ? AND hash = ?;

-- name: account.prune
DELETE FROM credential WHERE expires_at < ?;

-- name: account.approvers
SELECT COUNT(DISTINCT name)
  FROM credential
 WHERE kind = 'session' AND role IN ('admin', ?) AND (expires_at IS NULL OR expires_at > ?);
