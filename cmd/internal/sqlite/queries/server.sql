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
UPDATE registration SET address = ?, lifetime = ?, updated_at = ?, expires_at = ?, rhythm = ?
 WHERE device = ? AND id = ? AND updated_at < ?;

-- name: registration.delete
DELETE FROM registration WHERE device = ? AND id = ?;

-- name: registration.all
SELECT id, device, endpoint, version, lifetime, binding, queue, sms, root, details, address,
       registered_at, updated_at, expires_at, rhythm
  FROM registration;

-- name: registration.by_device
SELECT id, device, endpoint, version, lifetime, binding, queue, sms, root, details, address,
       registered_at, updated_at, expires_at, rhythm
  FROM registration
 WHERE device = ?;

-- name: observation.put
INSERT INTO observation (device, path, query) VALUES (?, ?, ?)
ON CONFLICT (device, path) DO UPDATE SET query = excluded.query WHERE excluded.query <> observation.query;

-- name: observation.delete
DELETE FROM observation WHERE device = ? AND path = ?;

-- name: observation.list
SELECT path, query, '' AS template FROM observation WHERE device = ?1
UNION ALL
SELECT t.path, t.query, t.name
  FROM observation_template t
 WHERE t.tag = ''
    OR EXISTS (SELECT 1 FROM device d, json_each(d.tags) WHERE d.id = ?1 AND json_each.value = t.tag);

-- name: observation_template.delete
DELETE FROM observation_template WHERE name = ?;

-- name: observation_template.insert
INSERT INTO observation_template (name, path, query, tag) VALUES (?, ?, ?, ?);

-- name: observation_template.list
SELECT name, tag, path, query FROM observation_template ORDER BY name, path LIMIT ?;

-- name: value.put
INSERT INTO value (device, path, kind, plain, source, at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (device, path) DO UPDATE SET kind = excluded.kind, plain = excluded.plain,
       source = excluded.source, at = excluded.at
 WHERE excluded.at >= value.at;

-- name: value.list
SELECT path, kind, plain, source, at FROM value WHERE device = ? ORDER BY path;

-- name: learned_profile.put
INSERT INTO learned_profile (secure, profile, details) VALUES (?, ?, ?)
ON CONFLICT (secure, profile) DO UPDATE SET details = excluded.details;

-- name: learned_profile.trim
DELETE FROM learned_profile WHERE seq <= (SELECT max(seq) FROM learned_profile) - ?;

-- name: learned_profile.list
SELECT secure, profile, details FROM learned_profile ORDER BY seq;
