-- name: enrolment.by_device
SELECT device, state, certificate, profile, issued_at, not_after, proven, due_at, want, tries, why, failed_at,
       changed_at, version
  FROM enrolment
 WHERE device = ?;

-- name: enrolment.due
SELECT device, state, certificate, profile, issued_at, not_after, proven, due_at, want, tries, why, failed_at,
       changed_at, version
  FROM enrolment
 WHERE due_at > 0 AND due_at <= ?1 AND (due_at, device) > (?2, ?3)
 ORDER BY due_at, device
 LIMIT ?4;

-- name: enrolment.counts
SELECT state, COUNT(*) FROM enrolment WHERE state <> 'good' GROUP BY state;

-- name: enrolment.in_state
SELECT e.device, e.state, e.certificate, e.profile, e.issued_at, e.not_after, e.proven, e.due_at, e.want, e.tries, e.why,
       e.failed_at, e.changed_at, e.version, d.endpoint
  FROM enrolment e JOIN device d ON d.id = e.device
 WHERE e.state = ?1 AND e.state <> 'good' AND e.device > ?2
 ORDER BY e.device
 LIMIT ?3;

-- name: enrolment.insert
INSERT INTO enrolment (device, state, certificate, profile, issued_at, not_after, proven, due_at, want, tries, why,
       failed_at, changed_at, version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
ON CONFLICT (device) DO NOTHING;

-- name: enrolment.update
UPDATE enrolment
   SET state = ?3, certificate = ?4, profile = ?5, issued_at = ?6, not_after = ?7, proven = ?8, due_at = ?9,
       want = ?10, tries = ?11, why = ?12, failed_at = ?13, changed_at = ?14, version = version + 1
 WHERE device = ?1 AND version = ?2;

-- name: enrolment.advance
UPDATE enrolment_feed SET position = ?1 WHERE id = 1 AND position < ?1;

-- The unary + keeps the order of issue the one index in use.

-- name: enrolment.issued
SELECT c.id,
       COALESCE(CASE WHEN c.factory IS NULL THEN (SELECT d.id FROM device d WHERE d.endpoint = c.name)
                     ELSE (SELECT d.id FROM device d WHERE d.factory = c.factory) END, ''),
       c.hash, c.profile, c.issued_at, c.not_after, c.supersedes IS NOT NULL
  FROM certificate c
 WHERE c.id > (SELECT position FROM enrolment_feed WHERE id = 1) AND +c.kind = 'operational'
 ORDER BY c.id
 LIMIT ?;
