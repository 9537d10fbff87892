-- name: sealed_key.by_request
SELECT client, csr, certificate, sealed, until_at FROM sealed_key WHERE client = ? AND csr = ?;

-- name: sealed_key.put
INSERT INTO sealed_key (client, csr, certificate, sealed, until_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (client, csr) DO UPDATE SET
    certificate = excluded.certificate, sealed = excluded.sealed, until_at = excluded.until_at;

-- name: sealed_key.forget
DELETE FROM sealed_key WHERE until_at <= ?;

-- name: approval.by_client
SELECT client, csr, spki, endpoint, profile, state, asked_at, decided_at, by_whom, why, version
FROM approval WHERE client = ?;

-- name: approval.list
SELECT client, csr, spki, endpoint, profile, state, asked_at, decided_at, by_whom, why, version
FROM approval WHERE client > ? ORDER BY client LIMIT ?;

-- name: approval.by_state
SELECT client, csr, spki, endpoint, profile, state, asked_at, decided_at, by_whom, why, version
FROM approval WHERE state = ? AND client > ? ORDER BY client LIMIT ?;

-- name: approval.insert
INSERT INTO approval (client, csr, spki, endpoint, profile, state, asked_at, decided_at, by_whom, why, version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
ON CONFLICT (client) DO NOTHING;

-- name: approval.update
UPDATE approval SET
    csr = ?3, spki = ?4, endpoint = ?5, profile = ?6, state = ?7, asked_at = ?8, decided_at = ?9, by_whom = ?10,
    why = ?11, version = version + 1
WHERE client = ?1 AND version = ?2;
