-- Tenants, API keys, and how the processes learn of changes.
--
-- Every id is compared byte by byte (COLLATE "C"): cheaper, and newer ids sort after older ones.

-- Each change of anything that the dispatchers keep in memory takes a number from here, so that
-- "do I have the newest?" is one comparison.
CREATE SEQUENCE directory_versions;

CREATE TABLE settings (
    name  text COLLATE "C" PRIMARY KEY,
    value bigint NOT NULL
);

CREATE TABLE tenants (
    id                 text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    name               text,
    version            bigint NOT NULL DEFAULT nextval('directory_versions'),
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    -- Set while everything of the tenant is being removed; it is invisible from then on.
    erasing_since      timestamptz,
    -- How far retention has come: the bodies of events stored before are gone.
    bodies_cleared_until timestamptz,
    CONSTRAINT tenants_default_stays CHECK (id <> 'default' OR erasing_since IS NULL)
);

CREATE TABLE keys (
    id           text COLLATE "C" PRIMARY KEY,
    hash         bytea NOT NULL,
    role         text NOT NULL CHECK (role IN ('admin', 'manager', 'publisher', 'portal')),
    tenant       text COLLATE "C" REFERENCES tenants (id) ON DELETE CASCADE,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz,
    CONSTRAINT keys_hash_key UNIQUE (hash),
    CONSTRAINT keys_role_tenant_check CHECK ((role = 'admin') = (tenant IS NULL))
);
CREATE INDEX keys_tenant_idx ON keys (tenant, id);

-- A change of the tenant itself gives it a new version …
CREATE FUNCTION renew_tenant_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := nextval('directory_versions');
    RETURN NEW;
END $$;
CREATE TRIGGER tenants_renew_version BEFORE UPDATE OF name, erasing_since ON tenants
    FOR EACH ROW EXECUTE FUNCTION renew_tenant_version();

-- … and a new version is told to everyone.
CREATE FUNCTION notify_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('signpost_directory', COALESCE(NEW.id, OLD.id));
    RETURN NULL;
END $$;
CREATE TRIGGER tenants_notify AFTER INSERT OR DELETE ON tenants
    FOR EACH ROW EXECUTE FUNCTION notify_tenant();
CREATE TRIGGER tenants_notify_update AFTER UPDATE ON tenants
    FOR EACH ROW WHEN (OLD.version IS DISTINCT FROM NEW.version)
    EXECUTE FUNCTION notify_tenant();

CREATE FUNCTION notify_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('signpost_keys', COALESCE(OLD.id, NEW.id));
    RETURN NULL;
END $$;
CREATE TRIGGER keys_notify
    AFTER INSERT OR DELETE OR UPDATE OF hash, role, tenant, expires_at ON keys
    FOR EACH ROW EXECUTE FUNCTION notify_key();

-- For triggers of the tables below a tenant: its version goes up when they change.
CREATE FUNCTION touch_tenant_of_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tenants SET version = nextval('directory_versions')
        WHERE id = COALESCE(NEW.tenant, OLD.tenant);
    RETURN NULL;
END $$;
CREATE FUNCTION touch_tenants_of_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tenants SET version = nextval('directory_versions')
        WHERE id IN (SELECT DISTINCT tenant FROM changed);
    RETURN NULL;
END $$;

INSERT INTO tenants (id, name, created_at, updated_at) VALUES ('default', NULL, now(), now());
INSERT INTO settings (name, value) VALUES ('profiles_version', nextval('directory_versions'));
