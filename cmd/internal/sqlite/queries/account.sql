-- name: account.put
INSERT INTO credential (kind, hash, owner, name, role, scope, prefix, method, address, agent,
       created_at, seen_at, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: account.replace_token
DELETE FROM credential WHERE kind = 'token' AND owner = ? AND name = ?;

-- name: account.get
SELECT kind, hash, owner, name, role, scope, prefix, method, address, agent, created_at, seen_at, expires_at
  FROM credential
 WHERE kind = ? AND hash = ?;

-- name: account.list
SELECT kind, hash, owner, name, role, scope, prefix, method, address, agent, created_at, seen_at, expires_at
  FROM credential
 WHERE kind = ? AND (? = '' OR owner = ?)
 ORDER BY created_at DESC, hash
 LIMIT ?;

-- name: account.touch
UPDATE credential SET seen_at = ? WHERE kind = ? AND hash = ?;

-- name: account.end
DELETE FROM credential WHERE kind = ? AND hash = ?;

-- name: account.end_of
DELETE FROM credential WHERE owner = ? AND kind = ?;

-- name: account.prune
DELETE FROM credential WHERE expires_at < ?;

-- name: account.approvers
SELECT COUNT(DISTINCT c.owner)
  FROM credential c
  JOIN person p ON p.name = c.owner
 WHERE c.kind = 'session' AND p.state = 'active' AND c.expires_at > ?
   AND instr('+' || p.role || '+', '+admin+') + instr('+' || p.role || '+', '+' || ? || '+') > 0;

-- name: person.get
SELECT name, display, role, scope, state, password, renew, subject, handle, created_at, signed_in_at, version
  FROM person
 WHERE name = ?;

-- name: person.of
SELECT name, display, role, scope, state, password, renew, subject, handle, created_at, signed_in_at, version
  FROM person
 WHERE subject = ?;

-- name: person.by_handle
SELECT name, display, role, scope, state, password, renew, subject, handle, created_at, signed_in_at, version
  FROM person
 WHERE handle = ?;

-- name: person.list
SELECT name, display, role, scope, state, password, renew, subject, handle, created_at, signed_in_at, version
  FROM person
 WHERE name > ?
 ORDER BY name
 LIMIT ?;

-- name: person.add
INSERT INTO person (name, display, role, scope, state, password, renew, subject, handle, created_at, version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
ON CONFLICT DO NOTHING;

-- name: person.change
UPDATE person SET display = ?, role = ?, scope = ?, state = ?, password = ?, renew = ?, subject = ?,
       version = version + 1
 WHERE name = ? AND version = ?;

-- name: person.signed_in
UPDATE person SET signed_in_at = ? WHERE name = ?;

-- name: person.admins
SELECT COUNT(*) FROM person WHERE role = 'admin' AND scope = '' AND state = 'active';

-- name: passkey.put
INSERT INTO passkey (id, owner, name, record, created_at)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, record = excluded.record
 WHERE passkey.owner = excluded.owner;

-- name: passkey.use
UPDATE passkey SET record = ?, used_at = ? WHERE id = ? AND owner = ?;

-- name: passkey.list
SELECT id, owner, name, record, created_at, used_at
  FROM passkey
 WHERE owner = ?
 ORDER BY created_at, id;

-- name: passkey.remove
DELETE FROM passkey WHERE owner = ? AND id = ?;

-- name: passkey.end_of
DELETE FROM passkey WHERE owner = ?;
