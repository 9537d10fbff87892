-- name: errand.by_id
SELECT id, state, client, name, request, csr, spki, answer, tries, next_at, reason, created_at, changed_at, version
  FROM upstream_errand
 WHERE id = ?;

-- name: errand.list
SELECT id, state, client, name, request, csr, spki, answer, tries, next_at, reason, created_at, changed_at, version
  FROM upstream_errand
 WHERE (?1 = '' OR seq < (SELECT seq FROM upstream_errand WHERE id = ?1)) AND (?3 IS NULL OR state = ?3)
   AND (?4 IS NULL OR client = ?4) AND (?5 IS NULL OR csr = ?5) AND (?6 IS NULL OR next_at <= ?6)
 ORDER BY seq DESC
 LIMIT ?2;

-- name: errand.by_client
SELECT id, state, client, name, request, csr, spki, answer, tries, next_at, reason, created_at, changed_at, version
  FROM upstream_errand
 WHERE (?1 = '' OR seq < (SELECT seq FROM upstream_errand WHERE id = ?1)) AND (?3 IS NULL OR state = ?3)
   AND client = ?4 AND (?5 IS NULL OR csr = ?5) AND (?6 IS NULL OR next_at <= ?6)
 ORDER BY seq DESC
 LIMIT ?2;

-- name: errand.by_state
SELECT id, state, client, name, request, csr, spki, answer, tries, next_at, reason, created_at, changed_at, version
  FROM upstream_errand
 WHERE (?1 = '' OR seq < (SELECT seq FROM upstream_errand WHERE id = ?1)) AND state = ?3
   AND (?4 IS NULL OR client = ?4) AND (?5 IS NULL OR csr = ?5) AND (?6 IS NULL OR next_at <= ?6)
 ORDER BY seq DESC
 LIMIT ?2;

-- name: errand.insert
INSERT INTO upstream_errand (id, state, client, name, request, csr, spki, answer, tries, next_at, reason, created_at,
       changed_at, version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
ON CONFLICT DO NOTHING;

-- name: errand.update
UPDATE upstream_errand
   SET state = ?3, answer = ?4, tries = ?5, next_at = ?6, reason = ?7, changed_at = ?8, version = version + 1
 WHERE id = ?1 AND version = ?2;
