-- name: device_key.by_identity
SELECT identity, device, use, kind, public, secret, created_at FROM device_key WHERE identity = ? AND kind = ?;

-- name: device_key.of_device
SELECT identity, device, use, kind, public, secret, created_at FROM device_key WHERE device = ? AND use = ?;

-- name: device_key.clash
SELECT COUNT(*) FROM device_key WHERE identity = ? AND NOT (device = ? AND use = ?);

-- name: device_key.remove
DELETE FROM device_key WHERE device = ? AND use = ?;

-- name: device_key.insert
INSERT INTO device_key (identity, device, use, kind, public, secret, created_at) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: bootstrap.put
INSERT INTO bootstrap_report (device, state, details, started_at, ended_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (device) DO UPDATE SET state = excluded.state, details = excluded.details,
       started_at = excluded.started_at, ended_at = excluded.ended_at;

-- name: bootstrap.last
SELECT device, state, details, started_at, ended_at FROM bootstrap_report WHERE device = ?;

-- name: bootstrap.unfinished
SELECT device, state, details, started_at, ended_at FROM bootstrap_report WHERE ended_at IS NULL;

-- name: profile.put
INSERT INTO bootstrap_profile (name, tag, details) VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET tag = excluded.tag, details = excluded.details;

-- name: profile.list
SELECT name, tag, details FROM bootstrap_profile ORDER BY name LIMIT ?;

-- name: profile.details
SELECT details FROM bootstrap_profile WHERE name = ?;

-- name: profile.remove
DELETE FROM bootstrap_profile WHERE name = ?;
