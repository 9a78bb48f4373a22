-- The ledger: events, deliveries, attempts. These three take the load.
--
-- No foreign keys here: they would lock the endpoint's and the event's row for every delivery.
-- Only fan-out inserts deliveries, in the statement that inserts their event, and only settling
-- inserts attempts, in the statement that moves their delivery.

CREATE TABLE events (
    tenant       text COLLATE "C" NOT NULL,
    id           text COLLATE "C" NOT NULL,
    type         text COLLATE "C" NOT NULL,
    -- Kept byte for byte (json, not jsonb); NULL once its retention is over.
    data         json,
    occurred_at  timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    -- Tells a publisher's repeat from another event under the same id.
    content_hash bytea NOT NULL,
    traceparent  text,
    PRIMARY KEY (tenant, id)
);
-- Publishers may bring ids that say nothing of the time, so "newest first" needs the time.
CREATE INDEX events_created_at_idx ON events (tenant, created_at, id);

CREATE TABLE deliveries (
    tenant           text COLLATE "C" NOT NULL,
    id               text COLLATE "C" NOT NULL,
    event_id         text COLLATE "C" NOT NULL,
    event_type       text COLLATE "C" NOT NULL,
    endpoint_id      text COLLATE "C" NOT NULL,
    status           text NOT NULL
        CHECK (status IN ('pending', 'succeeded', 'failed', 'held', 'discarded')),
    -- Why it failed, is held or was discarded.
    status_reason    text,
    attempt_count    integer NOT NULL DEFAULT 0,
    -- Those of the attempts that came too late to count: another process had settled theirs.
    late_attempts    smallint NOT NULL DEFAULT 0,
    retries_used     integer NOT NULL DEFAULT 0,
    last_status_code smallint,
    created_at       timestamptz NOT NULL,
    -- The next thing that is to happen: an attempt that is under way (a lease), a published
    -- message's due time, a deferral's end.
    next_attempt_at  timestamptz,
    finished_at      timestamptz,
    profile          text COLLATE "C" NOT NULL,
    profile_version  integer NOT NULL,
    trigger          text NOT NULL
        CHECK (trigger IN ('event', 'retry', 'manual', 'replay', 'test')),
    PRIMARY KEY (tenant, id),
    CONSTRAINT deliveries_pending_has_next
        CHECK ((status = 'pending') = (next_attempt_at IS NOT NULL)),
    CONSTRAINT deliveries_end_has_time
        CHECK ((status IN ('succeeded', 'failed', 'discarded')) = (finished_at IS NOT NULL))
);
CREATE INDEX deliveries_endpoint_idx ON deliveries (tenant, endpoint_id, id);
CREATE INDEX deliveries_event_idx ON deliveries (tenant, event_id);
-- The reconciler's: what is due, whoever owns it.
CREATE INDEX deliveries_due_idx ON deliveries (next_attempt_at) WHERE status = 'pending';
-- Held ones, to be sent oldest first. This and the next two cost nothing on the way to success.
CREATE INDEX deliveries_held_idx ON deliveries (tenant, endpoint_id, id) WHERE status = 'held';
CREATE INDEX deliveries_unsent_idx ON deliveries (tenant, status, id)
    WHERE status IN ('failed', 'held', 'discarded');
CREATE INDEX deliveries_endpoint_unsent_idx ON deliveries (tenant, endpoint_id, status, id)
    WHERE status IN ('failed', 'discarded');

CREATE TABLE attempts (
    tenant           text COLLATE "C" NOT NULL,
    delivery_id      text COLLATE "C" NOT NULL,
    number           integer NOT NULL CHECK (number > 0),
    trigger          text NOT NULL
        CHECK (trigger IN ('event', 'retry', 'manual', 'replay', 'test')),
    outcome          text NOT NULL
        CHECK (outcome IN ('succeeded', 'http_error', 'timeout', 'unreachable', 'tls_error',
            'blocked', 'protocol_error')),
    -- Recorded, but another process had settled the delivery's attempt before.
    is_late          boolean NOT NULL DEFAULT false,
    requested_at     timestamptz NOT NULL,
    responded_at     timestamptz,
    duration_ms      integer NOT NULL,
    request_headers  json NOT NULL,
    status_code      smallint,
    response_headers json,
    response_body    bytea,
    error            text,
    next_attempt_at  timestamptz,
    retry_reason     text,
    PRIMARY KEY (tenant, delivery_id, number)
);

-- Big tables that only grow at one end and change near it: vacuum and analyse them by what has
-- changed lately, not by a fifth of all there is.
ALTER TABLE events SET (autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE deliveries SET (autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE attempts SET (autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);

-- lz4 compresses large bodies several times faster than the default; not every build has it.
DO $$
BEGIN
    ALTER TABLE events ALTER COLUMN data SET COMPRESSION lz4;
    ALTER TABLE attempts ALTER COLUMN response_body SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END $$;
