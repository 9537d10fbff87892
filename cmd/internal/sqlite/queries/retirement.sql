-- name: retirement.put
INSERT OR REPLACE INTO device_retirement (device, at, said, level, record) VALUES (?, ?, ?, ?, ?);

-- name: retirement.of
SELECT at, said, level, record FROM device_retirement WHERE device = ?;
