-- name: group.put
INSERT INTO device_group (name, kind, filter, description, created_at, created_by) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET filter = excluded.filter, description = excluded.description;

-- name: group.list
SELECT g.name, g.kind, g.filter, g.description, g.created_at, g.created_by,
       (SELECT COUNT(*) FROM device_group_member m WHERE m.name = g.name)
  FROM device_group g
 ORDER BY g.name
 LIMIT ?;

-- name: group.get
SELECT g.name, g.kind, g.filter, g.description, g.created_at, g.created_by,
       (SELECT COUNT(*) FROM device_group_member m WHERE m.name = g.name)
  FROM device_group g
 WHERE g.name = ?;

-- name: group.plain
SELECT kind, filter FROM device_group WHERE name = ?;

-- name: group.delete
DELETE FROM device_group WHERE name = ?;

-- name: group.count
SELECT COUNT(*) FROM device_group;

-- name: group.member
SELECT 1 FROM device_group_member WHERE name = ? AND device = ?;

-- name: group.add
INSERT INTO device_group_member (name, device) SELECT ?1, value FROM json_each(?2) WHERE TRUE ON CONFLICT DO NOTHING;

-- name: group.take
DELETE FROM device_group_member WHERE name = ?1 AND device IN (SELECT value FROM json_each(?2));

-- name: group.size
SELECT COUNT(*) FROM device_group_member WHERE name = ?;
