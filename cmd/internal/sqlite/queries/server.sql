-- name: registration.put
INSERT INTO registration (device, id, endpoint, version, lifetime, binding, queue, sms, root, details, address,
                          registered_at, updated_at, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (device) DO UPDATE SET id = excluded.id, endpoint = excluded.endpoint, version = excluded.version,
       lifetime = excluded.lifetime, binding = excluded.binding, queue = excluded.queue, sms = excluded.sms,
       root = excluded.root, details = excluded.details, address = excluded.address,
       registered_at = excluded.registered_at, updated_at = excluded.updated_at, expires_at = excluded.expires_at;

-- name: registration.update
UPDATE registration
   SET lifetime = ?, binding = ?, queue = ?, sms = ?, root = ?, details = ?, address = ?, updated_at = ?, expires_at = ?
 WHERE device = ? AND id = ?;

-- name: registration.refresh
UPDATE registration SET address = ?, lifetime = ?, updated_at = ?, expires_at = ?
 WHERE device = ? AND id = ? AND updated_at < ?;

-- name: registration.delete
DELETE FROM registration WHERE device = ? AND id = ?;

-- name: registration.all
SELECT id, device, endpoint, version, lifetime, binding, queue, sms, root, details, address,
       registered_at, updated_at, expires_at
  FROM registration;

-- name: registration.by_device
SELECT id, device, endpoint, version, lifetime, binding, queue, sms, root, details, address,
       registered_at, updated_at, expires_at
  FROM registration
 WHERE device = ?;

-- name: observation.insert
INSERT INTO observation (device, path) VALUES (?, ?) ON CONFLICT DO NOTHING;

-- name: observation.delete
DELETE FROM observation WHERE device = ? AND path = ?;

-- name: observation.list
SELECT path FROM observation WHERE device = ?;

-- name: value.put
INSERT INTO value (device, path, kind, plain, source, at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (device, path) DO UPDATE SET kind = excluded.kind, plain = excluded.plain,
       source = excluded.source, at = excluded.at
 WHERE excluded.at >= value.at;

-- name: value.list
SELECT path, kind, plain, source, at FROM value WHERE device = ? ORDER BY path;
