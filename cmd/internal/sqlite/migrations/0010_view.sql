-- What pages list and count. Nothing here is state of its own.

CREATE INDEX device_ownership ON device (ownership, endpoint);
CREATE INDEX device_nosec ON device (endpoint) WHERE nosec = 1;
CREATE INDEX audit_actor ON audit (actor, id);
CREATE INDEX audit_registration ON audit (subject, id)
 WHERE action IN ('registration.register', 'registration.update');
CREATE INDEX certificate_live ON certificate (not_after, replaced_at) WHERE status = 'valid';
CREATE INDEX campaign_running ON campaign (id) WHERE state = 'running';
CREATE INDEX transfer_open ON transfer (seq) WHERE state NOT IN ('COMPLETE', 'CANCELLED', 'EXPIRED');
CREATE INDEX job_state ON job (campaign, state);

-- A device as one line of the inventory.
CREATE VIEW device_line AS
SELECT d.id, d.factory, d.endpoint, d.ownership, d.nosec, d.tags, d.created_at,
       r.version, -- NULL: not registered
       r.expires_at,
       COALESCE(r.updated_at, (SELECT a.at FROM audit a
                                WHERE a.subject = d.id
                                  AND a.action IN ('registration.register', 'registration.update')
                                ORDER BY a.id DESC LIMIT 1), 0) AS seen_at,
       COALESCE((SELECT v.plain FROM value v WHERE v.device = d.id AND v.path = '/3/0/3'), '') AS firmware,
       COALESCE((SELECT v.plain FROM value v WHERE v.device = d.id AND v.path = '/3/0/0'), '') AS manufacturer,
       COALESCE((SELECT v.plain FROM value v WHERE v.device = d.id AND v.path = '/3/0/1'), '') AS model
  FROM device d
  LEFT JOIN registration r ON r.device = d.id;
