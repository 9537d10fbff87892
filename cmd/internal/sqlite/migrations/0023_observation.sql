-- An observation is of one node or of several at once, and may have attributes.
ALTER TABLE observation ADD COLUMN query TEXT NOT NULL DEFAULT ''; -- attributes: pmin=10&pmax=60

-- What is to be observed of all devices that have a tag. A template is its rows.
CREATE TABLE observation_template (
    name  TEXT NOT NULL,
    path  TEXT NOT NULL, -- as in observation
    query TEXT NOT NULL, -- as in observation
    tag   TEXT NOT NULL, -- of the devices; '': all
    PRIMARY KEY (name, path)
) STRICT, WITHOUT ROWID;
