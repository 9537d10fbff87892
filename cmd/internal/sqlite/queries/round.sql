-- A rule of never is the smallest: it wins.

-- name: round.of_device
SELECT d.id,
       CASE WHEN d.ownership = 'owned' AND EXISTS (SELECT 1 FROM attester a WHERE a.device = d.factory)
            THEN COALESCE((SELECT MIN(u.every) FROM json_each(d.tags) t JOIN attestation_rule u ON u.tag = t.value AND u.tag <> ''),
                          (SELECT u.every FROM attestation_rule u WHERE u.tag = ''), 0)
            ELSE 0 END,
       COALESCE(r.state, 'unproved'), COALESCE(r.since, 0), COALESCE(r.every, 0), COALESCE(r.due_at, 0),
       COALESCE(r.waiting, 0), COALESCE(r.tries, 0), COALESCE(r.why, ''), COALESCE(r.tier, 0), COALESCE(r.reason, ''),
       COALESCE(r.judged_at, 0), COALESCE(r.version, 0)
  FROM device d LEFT JOIN attestation_round r ON r.device = d.id
 WHERE d.id = ?;

-- name: round.due
SELECT device, every, state, since, every, due_at, waiting, tries, why, tier, reason, judged_at, version
  FROM attestation_round
 WHERE due_at > 0
 ORDER BY due_at, device
 LIMIT ?;

-- name: round.waiting
SELECT device FROM attestation_round WHERE waiting = 1 AND device > ? ORDER BY device LIMIT ?;

-- name: round.provable
SELECT d.id
  FROM device d
 WHERE d.id > ? AND (EXISTS (SELECT 1 FROM attester a WHERE a.device = d.factory)
       OR EXISTS (SELECT 1 FROM attestation_round r WHERE r.device = d.id))
 ORDER BY d.id
 LIMIT ?;

-- name: round.insert
INSERT INTO attestation_round (device, state, since, every, due_at, waiting, tries, why, tier, reason, judged_at, version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
ON CONFLICT (device) DO NOTHING;

-- name: round.update
UPDATE attestation_round
   SET state = ?3, since = ?4, every = ?5, due_at = ?6, waiting = ?7, tries = ?8, why = ?9, tier = ?10, reason = ?11,
       judged_at = ?12, version = version + 1
 WHERE device = ?1 AND version = ?2;

-- name: round.in_state
SELECT r.device, r.every, r.state, r.since, r.every, r.due_at, r.waiting, r.tries, r.why, r.tier, r.reason, r.judged_at,
       r.version, d.endpoint
  FROM attestation_round r JOIN device d ON d.id = r.device
 WHERE r.state = ?1 AND r.device > ?2 AND d.ownership <> 'left'
 ORDER BY r.device
 LIMIT ?3;

-- name: round.listed
SELECT r.device, r.every, r.state, r.since, r.every, r.due_at, r.waiting, r.tries, r.why, r.tier, r.reason, r.judged_at,
       r.version, d.endpoint
  FROM attestation_round r JOIN device d ON d.id = r.device
 WHERE r.device > ?1 AND d.ownership <> 'left'
 ORDER BY r.device
 LIMIT ?2;

-- name: round.trouble
SELECT r.state, COUNT(*)
  FROM attestation_round r JOIN device d ON d.id = r.device
 WHERE r.state IN ('bad', 'mute') AND d.ownership <> 'left'
 GROUP BY r.state;

-- name: round.rules
SELECT tag, every FROM attestation_rule ORDER BY tag;

-- name: round.rule
SELECT every FROM attestation_rule WHERE tag = ?;

-- name: round.set_rule
INSERT INTO attestation_rule (tag, every) VALUES (?, ?) ON CONFLICT (tag) DO UPDATE SET every = excluded.every;

-- name: round.drop_rule
DELETE FROM attestation_rule WHERE tag = ?;
