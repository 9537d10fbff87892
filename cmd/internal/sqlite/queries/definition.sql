-- name: definition.put
INSERT INTO object_definition (object, version, document, added_at, added_by) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET document = excluded.document, added_at = excluded.added_at, added_by = excluded.added_by;

-- name: definition.all
SELECT object, version, document, added_at, added_by FROM object_definition ORDER BY object, version;

-- name: definition.get
SELECT document FROM object_definition WHERE object = ? AND version = ?;

-- name: definition.delete
DELETE FROM object_definition WHERE object = ? AND version = ?;

-- name: definition.count
SELECT count(*) FROM object_definition;
