-- name: partner.get
SELECT details, version FROM partner WHERE id = ?;

-- name: partner.list
SELECT details, version FROM partner ORDER BY name;

-- name: partner.clash
SELECT COUNT(*) FROM partner WHERE id <> ? AND (name = ? OR tls = ?);

-- name: partner.insert
INSERT INTO partner (id, name, tls, details, version) VALUES (?, ?, ?, ?, 1) ON CONFLICT (id) DO NOTHING;

-- name: partner.set
UPDATE partner SET name = ?, tls = ?, details = ?, version = version + 1 WHERE id = ? AND version = ?;

-- name: transfer.get
SELECT details, version FROM transfer WHERE id = ?;

-- name: transfer.list
SELECT details, version
  FROM transfer
 WHERE ? = '' OR seq < (SELECT seq FROM transfer WHERE id = ?)
 ORDER BY seq DESC
 LIMIT ?;

-- name: transfer.due
SELECT details, version FROM transfer WHERE due > 0 AND due <= ? ORDER BY due LIMIT ?;

-- name: transfer.insert
INSERT INTO transfer (id, partner, state, due, details, version) VALUES (?, ?, ?, ?, ?, 1)
ON CONFLICT (id) DO NOTHING;

-- name: transfer.set
UPDATE transfer SET state = ?, due = ?, details = ?, version = version + 1 WHERE id = ? AND version = ?;

-- name: transfer.documents
SELECT d.mandate, d.info, d.answer, d.offer
  FROM transfer t
  LEFT JOIN transfer_document d ON d.transfer = t.id
 WHERE t.id = ?;

-- name: transfer.put_documents
INSERT INTO transfer_document (transfer, mandate, info, answer, offer) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (transfer) DO UPDATE SET
    mandate = COALESCE(excluded.mandate, mandate),
    info    = COALESCE(excluded.info, info),
    answer  = COALESCE(excluded.answer, answer),
    offer   = COALESCE(excluded.offer, offer);

-- name: transfer_paper.insert
INSERT INTO transfer_paper (transfer, kind, raw, at) VALUES (?, ?, ?, ?);

-- name: transfer_paper.list
SELECT kind, raw, at FROM transfer_paper WHERE transfer = ? ORDER BY seq;

-- name: transfer_row.get
SELECT details, version FROM transfer_row WHERE transfer = ? AND short = ?;

-- name: transfer_row.list
SELECT details, version FROM transfer_row WHERE transfer = ? AND short > ? ORDER BY short LIMIT ?;

-- name: transfer_row.open
SELECT details, version
  FROM transfer_row
 WHERE factory = ? AND (ended = 0 OR pending > 0)
 ORDER BY transfer, short;

-- name: transfer_row.all_open
SELECT transfer, short, COALESCE(details ->> '$.Device', ''), version
  FROM transfer_row
 WHERE ended = 0 OR pending > 0
 ORDER BY transfer, short;

-- name: transfer_row.busy
SELECT COUNT(*) FROM transfer_row WHERE factory = ? AND ended = 0;

-- name: transfer_row.due
SELECT details, version FROM transfer_row WHERE due > 0 AND due <= ? ORDER BY due LIMIT ?;

-- name: transfer_row.count
SELECT state, COUNT(*) FROM transfer_row WHERE transfer = ? GROUP BY state;

-- name: transfer_row.ended
SELECT COUNT(*) FROM transfer_row WHERE transfer = ? AND ended = 1;

-- name: transfer_row.insert
INSERT INTO transfer_row (transfer, short, factory, state, ended, pending, due, details, version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)
ON CONFLICT (transfer, short) DO NOTHING;

-- name: transfer_row.set
UPDATE transfer_row
   SET state = ?, ended = ?, pending = ?, due = ?, details = ?, version = version + 1
 WHERE transfer = ? AND short = ? AND version = ?;

-- name: transfer_receipt.insert
INSERT INTO transfer_receipt (transfer, short, hash, state, raw, at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (transfer, short, hash) DO NOTHING;

-- name: transfer_receipt.list
SELECT hash, state, raw, at FROM transfer_receipt WHERE transfer = ? AND short = ? ORDER BY seq;

-- name: transfer_answer.get
SELECT request, type, body, at FROM transfer_answer WHERE partner = ? AND key = ?;

-- name: transfer_answer.put
INSERT INTO transfer_answer (partner, key, request, type, body, at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (partner, key) DO UPDATE SET type = excluded.type, body = excluded.body, at = excluded.at;
