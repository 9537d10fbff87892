-- name: chunk.insert
INSERT INTO release_chunk (release, part, n, data) VALUES (?, ?, ?, ?);

-- name: chunk.get
SELECT data FROM release_chunk WHERE release = ? AND part = ? AND n = ?;

-- name: chunk.length
SELECT COALESCE(SUM(length(data)), 0) FROM release_chunk WHERE release = ? AND part = ?;

-- name: chunk.all
SELECT data FROM release_chunk WHERE release = ? AND part = ? ORDER BY n;

-- name: installed_manifest.put
INSERT INTO installed_manifest (device, algorithm, digest, sequence, uri, source, at) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (device, algorithm, digest) DO UPDATE
   SET sequence = excluded.sequence, uri = excluded.uri, source = excluded.source, at = excluded.at;

-- name: installed_manifest.of_device
SELECT algorithm, digest, sequence
  FROM installed_manifest
 WHERE device = ?
 ORDER BY sequence DESC
 LIMIT 16;

-- name: installed_manifest.newest
SELECT algorithm, digest, sequence
  FROM installed_manifest
 WHERE device = ?1
   AND at = (SELECT at FROM installed_manifest WHERE device = ?1 ORDER BY sequence DESC, at DESC LIMIT 1)
 ORDER BY sequence DESC
 LIMIT 16;

-- name: suit_report.put
INSERT INTO suit_report (device, digest, release, succeeded, reason, raw, at) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (device, digest) DO UPDATE
   SET release = excluded.release, succeeded = excluded.succeeded, reason = excluded.reason, raw = excluded.raw,
       at = excluded.at;

-- name: suit_report.trim
DELETE FROM suit_report
 WHERE device = ? AND at < (SELECT at FROM suit_report WHERE device = ? ORDER BY at DESC LIMIT 1 OFFSET ?);

-- name: suit_report.of_manifest
SELECT digest, release, succeeded, reason, raw, at FROM suit_report WHERE device = ? AND digest = ?;

-- name: suit_report.of_device
SELECT digest, release, succeeded, reason, raw, at FROM suit_report WHERE device = ? ORDER BY at DESC LIMIT ?;

-- name: sealed_envelope.put
INSERT INTO sealed_envelope (device, release, key, manifest, envelope) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (device) DO UPDATE
   SET release = excluded.release, key = excluded.key, manifest = excluded.manifest, envelope = excluded.envelope
 WHERE release <> excluded.release OR key <> excluded.key;

-- name: sealed_envelope.get
SELECT release, key, manifest, envelope FROM sealed_envelope WHERE device = ?;
