-- What pages read where there are many rows.

-- The release that each device of ours runs, as its jobs know: what the view of it
-- found by reading all jobs.
CREATE TABLE device_running (
    device   TEXT    PRIMARY KEY REFERENCES device ON DELETE CASCADE,
    release  TEXT    NOT NULL,
    sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO device_running (device, release, sequence) SELECT device, release, sequence FROM device_release;
CREATE INDEX device_running_release ON device_running (release);
DROP VIEW device_release;

CREATE TRIGGER device_running_done AFTER UPDATE OF state ON job WHEN NEW.state = 'done' AND OLD.state <> 'done'
BEGIN
    INSERT INTO device_running (device, release, sequence)
    SELECT NEW.device, r.id, r.sequence
      FROM campaign c
      JOIN release r ON r.id = c.release
      JOIN device d ON d.id = NEW.device AND d.ownership = 'owned'
     WHERE c.id = NEW.campaign
        ON CONFLICT (device) DO UPDATE SET release = excluded.release, sequence = excluded.sequence
     WHERE excluded.sequence > device_running.sequence;
END;

CREATE TRIGGER device_running_left AFTER UPDATE OF ownership ON device
WHEN OLD.ownership = 'owned' AND NEW.ownership <> 'owned'
BEGIN
    DELETE FROM device_running WHERE device = NEW.id;
END;

-- What comes back to us runs what we gave it.
CREATE TRIGGER device_running_back AFTER UPDATE OF ownership ON device
WHEN OLD.ownership <> 'owned' AND NEW.ownership = 'owned'
BEGIN
    INSERT INTO device_running (device, release, sequence)
    SELECT j.device, c.release, MAX(r.sequence)
      FROM job j
      JOIN campaign c ON c.id = j.campaign
      JOIN release r ON r.id = c.release
     WHERE j.device = NEW.id AND j.state = 'done'
     GROUP BY j.device;
END;

-- What devices tell of themselves, for those that are looked for by it.
CREATE INDEX value_told ON value (path, plain, device)
 WHERE path = '/3/0/0' OR path = '/3/0/1' OR path = '/3/0/3';

-- Rows of the audit by how their action begins: one that is seldom is found at once.
CREATE INDEX audit_action ON audit (action, id);
CREATE INDEX audit_actor_action ON audit (actor, action, id);
CREATE INDEX audit_subject_action ON audit (subject, id, action);
DROP INDEX audit_actor;
DROP INDEX audit_subject;
