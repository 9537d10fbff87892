-- name: origin.by_factory
SELECT origin FROM key_origin WHERE factory = ?;

-- name: origin.put
INSERT INTO key_origin (factory, origin) VALUES (?, ?) ON CONFLICT (factory) DO UPDATE SET origin = excluded.origin;

-- name: certificate.factories
SELECT COUNT(*) FROM certificate WHERE name = ? AND kind = 'factory' AND status = 'valid';

-- name: succession.of
SELECT new_der, former_der, proof, at FROM factory_succession WHERE factory = ?;

-- name: succession.put
INSERT OR REPLACE INTO factory_succession (factory, former, new_der, former_der, proof, at) VALUES (?, ?, ?, ?, ?, ?);
