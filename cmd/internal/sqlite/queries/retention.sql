-- name: retention.answers
DELETE FROM transfer_answer WHERE (partner, key) IN (SELECT partner, key FROM transfer_answer WHERE at < ? LIMIT ?);

-- name: retention.warnings
DELETE FROM certificate_warning WHERE (hash, days) IN (SELECT hash, days FROM certificate_warning WHERE at < ? LIMIT ?);
