-- Events that the broker handed out again, while one is being worked on: what is still here after
-- its worker died may be what it died of. Unlogged, since a suspicion costs no wait for the disk
-- and may be lost with a crash of the database.
CREATE UNLOGGED TABLE suspects (
    -- SHA-256 of the message, which may be one that cannot be read.
    fingerprint bytea PRIMARY KEY,
    notes       smallint NOT NULL,
    noted_at    timestamptz NOT NULL
);
