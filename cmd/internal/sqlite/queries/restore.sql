-- name: restore.open_rights
SELECT factory, endpoint FROM enrolment_right WHERE state = 'open' ORDER BY factory;

-- name: restore.close_right
UPDATE enrolment_right SET state = ?, changed_at = ?, version = version + 1 WHERE factory = ?;

-- name: restore.note_right
INSERT INTO restored_right (factory) VALUES (?) ON CONFLICT DO NOTHING;

-- name: restore.rights
SELECT r.factory, r.endpoint
  FROM restored_right c
  JOIN enrolment_right r ON r.factory = c.factory
 WHERE r.state = 'closed' AND c.factory > ?
 ORDER BY c.factory
 LIMIT ?;

-- name: restore.count_rights
SELECT COUNT(*)
  FROM restored_right c
  JOIN enrolment_right r ON r.factory = c.factory
 WHERE r.state = 'closed';

-- name: restore.forget_right
DELETE FROM restored_right WHERE factory = ?;

-- name: restore.forget_rights
DELETE FROM restored_right;

-- name: restore.cancel_operations
UPDATE operation SET state = 'cancelled', reason = ?, body = NULL, ended_at = ?, version = version + 1
 WHERE ended_at IS NULL;

-- name: restore.drop_sessions
DELETE FROM credential WHERE kind IN ('session', 'link');

-- name: restore.count_tokens
SELECT COUNT(*) FROM credential WHERE kind = 'token';

-- name: restore.count_campaigns
SELECT COUNT(*) FROM campaign WHERE state NOT IN ('done', 'aborted', 'failed', 'draft');

-- name: restore.count_transfers
SELECT COUNT(*) FROM transfer WHERE state NOT IN ('COMPLETE', 'CANCELLED', 'EXPIRED');

-- name: restore.count_devices
SELECT COUNT(*) FROM device WHERE ownership = 'owned';

-- name: restore.forget_setting
DELETE FROM setting WHERE name = ?;

-- name: restore.waits
SELECT COUNT(*) FROM restored_right c JOIN enrolment_right r ON r.factory = c.factory
 WHERE c.factory = ? AND r.state = 'closed';
