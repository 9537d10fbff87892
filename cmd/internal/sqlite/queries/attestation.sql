-- name: attester.get
SELECT key, refs, boot_count, at FROM attester WHERE device = ?;

-- name: attester.put
INSERT INTO attester (device, key, refs, boot_count, at) VALUES (?, ?, ?, 0, ?)
    ON CONFLICT (device) DO UPDATE SET key = excluded.key, refs = excluded.refs, at = excluded.at;

-- name: attester.rename
UPDATE OR REPLACE attester SET device = ?2 WHERE device = ?1;

-- name: attester.booted
UPDATE attester SET boot_count = MAX(boot_count, ?) WHERE device = ?;

-- name: attestation.insert
INSERT INTO attestation (device, tier, reason, verdict, transfer, boot_count, at) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: attestation.trim
DELETE FROM attestation
 WHERE device = ? AND seq <= (SELECT seq FROM attestation WHERE device = ? ORDER BY seq DESC LIMIT 1 OFFSET ?);

-- name: attestation.of_device
SELECT tier, reason, verdict, transfer, boot_count, at
  FROM attestation
 WHERE device = ?
 ORDER BY seq DESC
 LIMIT ?;
