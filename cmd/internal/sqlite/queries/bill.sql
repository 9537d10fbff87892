-- name: bill.set
INSERT INTO bill (release, parts, digest, document, added_at, added_by)
VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (release) DO UPDATE
   SET parts = excluded.parts, digest = excluded.digest, document = excluded.document,
       added_at = excluded.added_at, added_by = excluded.added_by;

-- name: bill.get
SELECT release, parts, digest, added_at, added_by FROM bill WHERE release = ?;

-- name: bill.all
SELECT release, parts, digest, added_at, added_by FROM bill ORDER BY release;

-- name: bill.document
SELECT document FROM bill WHERE release = ?;

-- name: bill.forget_findings
DELETE FROM finding WHERE release = ?;

-- name: bill.add_finding
INSERT INTO finding (release, position, vulnerability, status, details) VALUES (?, ?, ?, ?, ?);

-- name: list.insert
INSERT INTO vulnerability_list (id, name, advisories, digest, added_at, added_by) VALUES (?, ?, ?, ?, ?, ?);

-- name: list.all
SELECT id, name, advisories, digest, added_at, added_by FROM vulnerability_list ORDER BY id;

-- name: list.name
SELECT name FROM vulnerability_list WHERE id = ?;

-- name: list.delete_name
DELETE FROM vulnerability_list WHERE name = ?;

-- name: view.findings
SELECT position, details
  FROM finding
 WHERE release = ? AND position > ?
 ORDER BY position
 LIMIT ?;

-- name: view.finding_counts
SELECT status, COUNT(*) FROM finding WHERE release = ? GROUP BY status;

-- Devices that run a release with an affected part, by vulnerability.
-- name: view.exposed_by
SELECT f.vulnerability, COUNT(DISTINCT x.device)
  FROM finding f
  JOIN device_running x ON x.release = f.release
 WHERE f.status = 'affected' AND f.vulnerability IN (SELECT value FROM json_each(?))
 GROUP BY f.vulnerability;

-- The overview asks this each time: without a finding it must not read all jobs.
-- name: view.exposed
SELECT CASE WHEN EXISTS (SELECT 1 FROM finding WHERE status = 'affected')
       THEN (SELECT COUNT(*) FROM device_running WHERE release IN (SELECT release FROM finding WHERE status = 'affected'))
       ELSE 0 END;

-- name: view.installed
SELECT COUNT(*) FROM device_running WHERE release = ?;

-- name: view.vulnerabilities
SELECT vulnerability,
       SUM(status = 'affected'), SUM(status = 'under_investigation'), COUNT(*), MIN(details),
       COUNT(DISTINCT CASE WHEN status = 'affected' THEN release END)
  FROM finding
 WHERE vulnerability > ?
 GROUP BY vulnerability
 ORDER BY vulnerability
 LIMIT ?;
