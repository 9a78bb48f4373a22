-- What a tenant configures: endpoints, their secrets, event types; and the custom profiles.

CREATE TABLE endpoints (
    tenant        text COLLATE "C" NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id            text COLLATE "C" NOT NULL,
    name          text NOT NULL,
    url           text NOT NULL,
    events        text[] NOT NULL CHECK (cardinality(events) > 0),
    filter        json,
    profile       text COLLATE "C" NOT NULL,
    status        text NOT NULL CHECK (status IN ('active', 'paused', 'disabled')),
    -- Why Signpost itself changed the status; NULL when a person did.
    status_reason text,
    headers       json NOT NULL,
    retry         json,
    timeout       text,
    rate_limit    integer CHECK (rate_limit > 0),
    metadata      json NOT NULL,
    -- Since when every attempt has failed; NULL after a success.
    failing_since timestamptz,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    -- A deleted endpoint stays as a row, so that the history of its deliveries stays readable.
    deleted_at    timestamptz,
    -- When the deliveries that a deleted endpoint still owed had all been discarded.
    swept_at      timestamptz,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX endpoints_failing_idx ON endpoints (failing_since)
    WHERE failing_since IS NOT NULL AND status = 'active' AND deleted_at IS NULL;
CREATE INDEX endpoints_unswept_idx ON endpoints (deleted_at)
    WHERE deleted_at IS NOT NULL AND swept_at IS NULL;

-- `failing_since` and `swept_at` are bookkeeping and wake nobody.
CREATE TRIGGER endpoints_touch_insert AFTER INSERT ON endpoints
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
    EXECUTE FUNCTION touch_tenants_of_statement();
CREATE TRIGGER endpoints_touch_delete AFTER DELETE ON endpoints
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT
    EXECUTE FUNCTION touch_tenants_of_statement();
CREATE TRIGGER endpoints_touch_update
    AFTER UPDATE OF name, url, events, filter, profile, status, headers, retry, timeout,
        rate_limit, metadata, deleted_at ON endpoints
    FOR EACH ROW EXECUTE FUNCTION touch_tenant_of_row();

-- Signing secrets, encrypted by this program before they come here. The tenant's own secret has
-- the endpoint_id ''.
CREATE TABLE secrets (
    tenant      text COLLATE "C" NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    endpoint_id text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL,
    -- Counts the rotations; the highest is the newest.
    version     integer NOT NULL CHECK (version > 0),
    -- Which master key encrypted it.
    key_id      text COLLATE "C" NOT NULL,
    ciphertext  bytea NOT NULL,
    created_at  timestamptz NOT NULL,
    -- NULL for the newest one; set at rotation for the one before.
    expires_at  timestamptz,
    PRIMARY KEY (tenant, endpoint_id, id),
    CONSTRAINT secrets_version_key UNIQUE (tenant, endpoint_id, version)
);
CREATE UNIQUE INDEX secrets_one_newest_idx ON secrets (tenant, endpoint_id)
    WHERE expires_at IS NULL;
CREATE INDEX secrets_key_id_idx ON secrets (key_id);
CREATE TRIGGER secrets_touch_insert AFTER INSERT ON secrets
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
    EXECUTE FUNCTION touch_tenants_of_statement();
CREATE TRIGGER secrets_touch_update AFTER UPDATE ON secrets
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
    EXECUTE FUNCTION touch_tenants_of_statement();
CREATE TRIGGER secrets_touch_delete AFTER DELETE ON secrets
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT
    EXECUTE FUNCTION touch_tenants_of_statement();

CREATE TABLE event_types (
    tenant      text COLLATE "C" NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    type        text COLLATE "C" NOT NULL,
    name        text,
    description text,
    schema      json,
    validation  text NOT NULL CHECK (validation IN ('off', 'warn', 'reject')),
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant, type)
);
CREATE TRIGGER event_types_touch_insert AFTER INSERT ON event_types
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
    EXECUTE FUNCTION touch_tenants_of_statement();
CREATE TRIGGER event_types_touch_update AFTER UPDATE ON event_types
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
    EXECUTE FUNCTION touch_tenants_of_statement();
CREATE TRIGGER event_types_touch_delete AFTER DELETE ON event_types
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT
    EXECUTE FUNCTION touch_tenants_of_statement();

-- Custom wire profiles. A version is never changed in place: deliveries name the version that
-- their body was rendered with.
CREATE TABLE profiles (
    name       text COLLATE "C" NOT NULL,
    version    integer NOT NULL CHECK (version > 0),
    document   json NOT NULL,
    created_at timestamptz NOT NULL,
    deleted_at timestamptz,
    PRIMARY KEY (name, version)
);
CREATE FUNCTION touch_profiles() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE settings SET value = nextval('directory_versions') WHERE name = 'profiles_version';
    PERFORM pg_notify('signpost_directory', '*');
    RETURN NULL;
END $$;
CREATE TRIGGER profiles_touch AFTER INSERT OR UPDATE OR DELETE ON profiles
    FOR EACH STATEMENT EXECUTE FUNCTION touch_profiles();
