-- Lists for pages: each has a cursor and a limit. A parameter that is NULL
-- selects all. The queries of one list differ in the condition that an index
-- serves. Parameters of devices: after, limit, texts (JSON), tags (JSON), online, now,
-- then ownership, campaign, vulnerability ("*": any), release, manufacturer, model,
-- version, and what is particular to a query. A registration without an end lasts for ever.

-- name: part.device
SELECT id, factory, endpoint, ownership, nosec, tags, created_at, COALESCE(version, ''),
       COALESCE(expires_at, 0), seen_at, firmware, manufacturer, model,
       COALESCE((SELECT kind FROM device_key k WHERE k.device = device_line.id AND k.use = 'server'), '')
  FROM device_line

-- What is cheap comes first: parts of the first text (a LIKE pattern) and the first tag
-- (as JSON writes it), which leave few rows to look at more closely, and whether any
-- device at all tells what is asked for.

-- name: part.device_matches
   AND (?16 IS NULL OR endpoint LIKE ?16 ESCAPE '\') AND (?17 IS NULL OR instr(tags, ?17) > 0)
   AND (?3 IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(?3) WHERE instr(lower(endpoint), lower(value)) = 0))
   AND (?4 IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(?4) want
                                   WHERE want.value NOT IN (SELECT has.value FROM json_each(tags) has)))
   AND (?5 IS NULL OR ?5 = (ownership = 'owned' AND version IS NOT NULL AND (expires_at IS NULL OR expires_at > ?6)))
   AND (?7 IS NULL OR ownership = ?7)
   AND (?8 IS NULL OR id IN (SELECT device FROM job WHERE campaign = ?8))
   AND (?9 IS NULL OR id IN (SELECT x.device FROM device_running x WHERE x.release IN
        (SELECT f.release FROM finding f WHERE f.status = 'affected' AND (?9 = '*' OR f.vulnerability = ?9))))
   AND (?10 IS NULL OR id IN (SELECT x.device FROM device_running x WHERE x.release = ?10))
   AND (?11 IS NULL OR EXISTS (SELECT 1 FROM value v WHERE v.path = '/3/0/0' AND v.plain = ?11))
   AND (?11 IS NULL OR manufacturer = ?11)
   AND (?12 IS NULL OR EXISTS (SELECT 1 FROM value v WHERE v.path = '/3/0/1' AND v.plain = ?12))
   AND (?12 IS NULL OR model = ?12)
   AND (?13 IS NULL OR EXISTS (SELECT 1 FROM value v WHERE v.path = '/3/0/3' AND v.plain = ?13))
   AND (?13 IS NULL OR firmware = ?13)

-- name: view.devices
{part.device}
 WHERE endpoint > ?1 {part.device_matches}
 ORDER BY endpoint
 LIMIT ?2;

-- name: view.devices_owned
{part.device}
 WHERE ownership = ?7 AND endpoint > ?1 {part.device_matches}
 ORDER BY endpoint
 LIMIT ?2;

-- name: view.devices_nosec
{part.device}
 WHERE nosec = 1 AND version IS NOT NULL AND endpoint > ?1 {part.device_matches}
 ORDER BY endpoint
 LIMIT ?2;

-- name: view.devices_members
{part.device}
 WHERE id IN (SELECT m.device FROM device_group_member m WHERE m.name = ?14) AND endpoint > ?1 {part.device_matches}
   AND (?15 IS NULL OR nosec = 1 AND version IS NOT NULL)
 ORDER BY endpoint
 LIMIT ?2;

-- name: view.devices_newest
{part.device}
 WHERE id < ?1 {part.device_matches}
   AND (?15 IS NULL OR nosec = 1 AND version IS NOT NULL)
   AND (?14 IS NULL OR id IN (SELECT m.device FROM device_group_member m WHERE m.name = ?14))
 ORDER BY id DESC
 LIMIT ?2;

-- name: view.device_matches
{part.device}
 WHERE id = ?1 {part.device_matches}
   AND (?15 IS NULL OR nosec = 1 AND version IS NOT NULL)
   AND (?14 IS NULL OR id IN (SELECT m.device FROM device_group_member m WHERE m.name = ?14))
 LIMIT ?2;

-- name: view.device
{part.device}
 WHERE id = ?;

-- name: view.device_by_endpoint
{part.device}
 WHERE endpoint = ?;

-- name: view.known
SELECT id, factory, endpoint, ownership, nosec, tags, created_at
  FROM device
 WHERE id IN (SELECT value FROM json_each(?1))
 UNION
SELECT id, factory, endpoint, ownership, nosec, tags, created_at
  FROM device
 WHERE endpoint IN (SELECT value FROM json_each(?2));

-- name: view.device_counts
SELECT ownership, COUNT(*) FROM device GROUP BY ownership;

-- name: view.insecure
SELECT COUNT(*) FROM device d WHERE d.nosec = 1 AND EXISTS (SELECT 1 FROM registration r WHERE r.device = d.id);

-- name: view.values
SELECT path, kind, plain, source, at
  FROM value
 WHERE device = ?1 AND (path = ?2 OR path >= ?3 AND path < ?4)
 ORDER BY path
 LIMIT ?5;

-- Parameters of audit rows: before, limit, action prefix ("": any), then actor and
-- subject. The actions that there are, few, are found one after the other, and of
-- each its newest rows: what is seldom costs no more than what is common.

-- name: view.audit
SELECT id, at, actor, action, subject, reason, before, after, prev, hash
  FROM audit
 WHERE id < ?1
 ORDER BY id DESC
 LIMIT ?2;

-- name: view.audit_of_action
WITH RECURSIVE word (action) AS (
    SELECT MIN(action) FROM audit WHERE action >= ?3
     UNION ALL
    SELECT (SELECT MIN(action) FROM audit WHERE action > word.action)
      FROM word
     WHERE substr(word.action, 1, length(?3)) = ?3)
SELECT id, at, actor, action, subject, reason, before, after, prev, hash
  FROM audit
 WHERE id IN (
        SELECT a.id
          FROM word
         CROSS JOIN audit a
         WHERE substr(word.action, 1, length(?3)) = ?3
           AND a.id IN (SELECT b.id FROM audit b WHERE b.action = word.action AND b.id < ?1 ORDER BY b.id DESC LIMIT ?2)
         ORDER BY a.id DESC
         LIMIT ?2)
 ORDER BY id DESC;

-- name: view.audit_of_actor
WITH RECURSIVE word (action) AS (
    SELECT MIN(action) FROM audit WHERE actor = ?4 AND action >= ?3
     UNION ALL
    SELECT (SELECT MIN(action) FROM audit WHERE actor = ?4 AND action > word.action)
      FROM word
     WHERE substr(word.action, 1, length(?3)) = ?3)
SELECT id, at, actor, action, subject, reason, before, after, prev, hash
  FROM audit
 WHERE id IN (
        SELECT a.id
          FROM word
         CROSS JOIN audit a
         WHERE substr(word.action, 1, length(?3)) = ?3
           AND a.id IN (SELECT b.id FROM audit b WHERE b.actor = ?4 AND b.action = word.action AND b.id < ?1 ORDER BY b.id DESC LIMIT ?2)
         ORDER BY a.id DESC
         LIMIT ?2)
 ORDER BY id DESC;

-- What is told of a right stands also in the rows of the certificates issued by it.

-- name: view.audit_of_subject
SELECT id, at, actor, action, subject, reason, before, after, prev, hash
  FROM audit
 WHERE id IN (
        SELECT id FROM (
            SELECT id
              FROM audit
             WHERE subject = ?5 AND id < ?1 AND (?3 = '' OR substr(action, 1, length(?3)) = ?3)
               AND (?4 IS NULL OR actor = ?4)
             ORDER BY id DESC
             LIMIT ?2)
         UNION ALL
        SELECT a.id
          FROM enrolment_right r
          JOIN certificate c ON c.name = r.endpoint AND c.factory = r.factory
          JOIN audit a ON a.subject = lower(hex(c.hash)) AND a.id < ?1 AND a.action = 'certificate.issue'
         WHERE r.factory = unhex(?5) AND substr(a.action, 1, length(?3)) = ?3 AND (?4 IS NULL OR a.actor = ?4))
 ORDER BY id DESC
 LIMIT ?2;

-- name: view.jobs
SELECT j.campaign, j.device, j.position, j.wave, j.state, j.aside, j.reason, j.result, j.tries, j.attempts, j.zone,
       j.due, j.silent, j.began_at, j.first_at, j.ended_at, j.version, j.updated_at, d.endpoint
  FROM job j
  JOIN device d ON d.id = j.device
 WHERE j.campaign = ?1 AND j.device > ?2
   AND (?4 IS NULL OR ?4 = CASE j.aside WHEN '' THEN j.state ELSE j.aside END)
 ORDER BY j.device
 LIMIT ?3;

-- name: view.running
SELECT COUNT(*)
  FROM campaign
 WHERE state NOT IN ('done', 'aborted', 'failed') AND state NOT IN ('draft', 'review');

-- name: view.deliveries
SELECT push IS NOT NULL, pull IS NOT NULL FROM release_content WHERE release = ?;

-- name: transfer_row.of_factory
SELECT r.details, r.version
  FROM transfer_row r
  JOIN transfer t ON t.id = r.transfer
 WHERE r.factory = ?
 ORDER BY t.seq DESC
 LIMIT ?;

-- What proves how devices of a transfer went: a certificate that names a factory
-- certificate has the name of its right, or of its device.

-- name: view.transfer_proof
SELECT r.short,
       (SELECT COUNT(*) FROM transfer_receipt t WHERE t.transfer = r.transfer AND t.short = r.short),
       COALESCE(SUM(c.status = 'revoked'), 0), COALESCE(SUM(c.status <> 'revoked'), 0)
  FROM transfer_row r
  LEFT JOIN certificate c INDEXED BY certificate_name
    ON c.name IN (SELECT endpoint FROM enrolment_right WHERE factory = r.factory
                  UNION SELECT endpoint FROM device WHERE factory = r.factory)
   AND c.factory = r.factory AND c.kind = 'operational'
 WHERE r.transfer = ? AND r.short BETWEEN ? AND ?
 GROUP BY r.short;

-- Under each factory certificate that the device has had.

-- name: view.transfer_rows_of_device
  WITH RECURSIVE names (factory) AS (
       SELECT ?1
        UNION
       SELECT s.former FROM factory_succession s JOIN names n ON s.factory = n.factory)
SELECT r.details, r.version
  FROM names n
  JOIN transfer_row r ON r.factory = n.factory
  JOIN transfer t ON t.id = r.transfer
 ORDER BY t.seq DESC
 LIMIT ?2;

-- name: view.open_transfers
SELECT details, version
  FROM transfer
 WHERE state NOT IN ('COMPLETE', 'CANCELLED', 'EXPIRED')
 ORDER BY seq DESC
 LIMIT ?;
