-- name: release.insert
INSERT INTO release (id, class, sequence, details, state, created_at) VALUES (?, ?, ?, ?, ?, ?);

-- name: release.insert_content
INSERT INTO release_content (release, push, pull, image) VALUES (?, ?, ?, ?);

-- name: release.get
SELECT details, state, decisions FROM release WHERE id = ?;

-- name: release.content
SELECT push, pull, image FROM release_content WHERE release = ?;

-- name: release.newest
SELECT COALESCE(MAX(sequence), 0) FROM release WHERE class = ?;

-- name: release.approved
SELECT details, state, decisions
  FROM release
 WHERE class = ? AND state = 'approved' AND sequence > ?
 ORDER BY sequence DESC
 LIMIT ?;

-- name: release.list
SELECT details, state, decisions FROM release WHERE ? = '' OR id < ? ORDER BY id DESC LIMIT ?;

-- name: release.decide
UPDATE release SET state = ?, decisions = ? WHERE id = ?;
