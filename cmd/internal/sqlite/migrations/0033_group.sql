-- Groups of devices: lists that people keep, and filters.
CREATE TABLE device_group (
    name        TEXT    NOT NULL PRIMARY KEY,
    kind        TEXT    NOT NULL CHECK (kind IN ('static', 'dynamic')),
    filter      TEXT    NOT NULL, -- of a dynamic one, as the query of the inventory's address
    description TEXT    NOT NULL,
    created_at  INTEGER NOT NULL, -- Unix microseconds, UTC
    created_by  TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE device_group_member (
    name   TEXT NOT NULL REFERENCES device_group (name) ON DELETE CASCADE,
    device TEXT NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    PRIMARY KEY (name, device)
) STRICT, WITHOUT ROWID;

CREATE INDEX device_group_of_device ON device_group_member (device);
