-- name: webhook.list
SELECT id, name, url, mode, types, subject, secret, state, cursor, attempt, next_at, failing_since, status, words,
       last_at, created_at, created_by, version
  FROM webhook
 ORDER BY name, id;

-- name: webhook.count
SELECT COUNT(*) FROM webhook;

-- name: webhook.insert
INSERT INTO webhook (id, name, url, mode, types, subject, secret, state, cursor, attempt, next_at, failing_since, status,
                     words, last_at, created_at, created_by, version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
ON CONFLICT (id) DO NOTHING;

-- name: webhook.update
UPDATE webhook
   SET name = ?, url = ?, mode = ?, types = ?, subject = ?, secret = ?, state = ?, cursor = ?, attempt = ?, next_at = ?,
       failing_since = ?, status = ?, words = ?, last_at = ?, version = version + 1
 WHERE id = ? AND version = ?;

-- name: webhook.remove
DELETE FROM webhook WHERE id = ?;

-- name: webhook.letters
SELECT hook, event, at, type, subject, data, state, words, tries
  FROM webhook_letter
 WHERE hook = ?1 AND event > ?2 AND (?3 = '' OR state = ?3)
 ORDER BY event
 LIMIT ?4;

-- name: webhook.letter
SELECT hook, event, at, type, subject, data, state, words, tries FROM webhook_letter WHERE hook = ? AND event = ?;

-- name: webhook.bury
INSERT OR REPLACE INTO webhook_letter (hook, event, at, type, subject, data, state, words, tries)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: webhook.mark
UPDATE webhook_letter SET state = ?, words = ?, tries = ? WHERE hook = ? AND event = ?;

-- name: webhook.forget
DELETE FROM webhook_letter
 WHERE hook = ?1 AND event <= (SELECT event FROM webhook_letter WHERE hook = ?1 ORDER BY event DESC LIMIT 1 OFFSET ?2);
