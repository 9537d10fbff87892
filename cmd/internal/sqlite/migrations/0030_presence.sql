-- What the server learns of devices beside what they register.
ALTER TABLE registration ADD COLUMN rhythm INTEGER NOT NULL DEFAULT 0; -- mean pause between messages in queue mode, s; 0: unknown

CREATE TABLE learned_profile (
    seq     INTEGER PRIMARY KEY,  -- the oldest give way
    secure  INTEGER NOT NULL,     -- 1: learned of devices that proved who they are
    profile TEXT    NOT NULL,     -- profile id, as in pid
    details TEXT    NOT NULL,     -- JSON: what it stands for
    UNIQUE (secure, profile)
) STRICT;
