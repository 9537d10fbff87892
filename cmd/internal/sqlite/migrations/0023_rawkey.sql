-- A key of a device is a pre-shared key or a raw public key, whose identity is the
-- SHA-256 of it in hexadecimal.
ALTER TABLE device_key ADD COLUMN kind   TEXT NOT NULL DEFAULT 'psk'; -- psk, rawkey
ALTER TABLE device_key ADD COLUMN public BLOB NOT NULL DEFAULT x'';   -- SubjectPublicKeyInfo of a raw public key
