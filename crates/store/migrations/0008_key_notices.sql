-- A key that is new is told to nobody: no process remembers that a key is absent. The notice could
-- only come late and make a process forget the key that it has just read.
DROP TRIGGER keys_notify ON keys;
CREATE TRIGGER keys_notify
    AFTER DELETE OR UPDATE OF hash, role, tenant, expires_at ON keys
    FOR EACH ROW EXECUTE FUNCTION notify_key();
