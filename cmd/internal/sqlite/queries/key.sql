-- name: key.list
SELECT purpose, number, state, certificate, made_at, changed_at
  FROM key_generation
 ORDER BY purpose, number;

-- name: key.insert
INSERT INTO key_generation (purpose, number, state, certificate, made_at, changed_at)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (purpose, number) DO NOTHING;

-- name: key.step
UPDATE key_generation
   SET state = ?4, changed_at = ?5
 WHERE purpose = ?1 AND number = ?2 AND state = ?3;
