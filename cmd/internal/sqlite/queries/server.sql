-- name: registration.delete_device
DELETE FROM registration WHERE device = ?;

-- name: registration.insert
INSERT INTO registration (id, device, endpoint, version, lifetime, binding, queue, sms, root, details, address,
                          registered_at, updated_at, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: registration.update
UPDATE registration
   SET lifetime = ?, binding = ?, queue = ?, sms = ?, root = ?, details = ?, address = ?, updated_at = ?, expires_at = ?
 WHERE id = ?;

-- name: registration.refresh
UPDATE registration SET address = ?, updated_at = ?, expires_at = ? WHERE id = ?;

-- name: registration.delete
DELETE FROM registration WHERE id = ? RETURNING device;

-- name: registration.by_id
SELECT id, device, endpoint, version, lifetime, binding, queue, sms, root, details, address,
       registered_at, updated_at, expires_at
  FROM registration
 WHERE id = ?;

-- name: registration.by_device
SELECT id, device, endpoint, version, lifetime, binding, queue, sms, root, details, address,
       registered_at, updated_at, expires_at
  FROM registration
 WHERE device = ?;

-- name: registration.due
SELECT EXISTS (SELECT 1 FROM registration WHERE expires_at < ?);

-- name: registration.expire
DELETE FROM registration
 WHERE id IN (SELECT id FROM registration WHERE expires_at < ? ORDER BY expires_at LIMIT ?)
RETURNING id, device, endpoint, version, lifetime, binding, queue, sms, root, details, address,
          registered_at, updated_at, expires_at;

-- name: observation.insert
INSERT INTO observation (device, path) VALUES (?, ?) ON CONFLICT DO NOTHING;

-- name: observation.delete
DELETE FROM observation WHERE device = ? AND path = ?;

-- name: observation.list
SELECT path FROM observation WHERE device = ?;

-- name: value.put
INSERT INTO value (device, path, kind, plain, source, at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (device, path) DO UPDATE SET kind = excluded.kind, plain = excluded.plain,
       source = excluded.source, at = excluded.at;

-- name: value.list
SELECT path, kind, plain, source, at FROM value WHERE device = ? ORDER BY path;
