-- Releases from before approvals were installed already.
ALTER TABLE release ADD COLUMN state TEXT NOT NULL DEFAULT 'approved'; -- draft, approved, withdrawn

ALTER TABLE release ADD COLUMN decisions TEXT NOT NULL DEFAULT '[]'; -- JSON, oldest first
