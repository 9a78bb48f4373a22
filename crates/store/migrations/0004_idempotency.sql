-- Answers to writes that carried an Idempotency-Key, to be given again to a repeat.
CREATE TABLE idempotency_keys (
    -- '' for routes that belong to no tenant.
    tenant       text COLLATE "C" NOT NULL,
    route        text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    request_hash bytea NOT NULL,
    -- NULL while the first request is still at work.
    status       smallint,
    -- Encrypted: answers can hold a secret or a key.
    body         bytea,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant, route, key)
);
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);
