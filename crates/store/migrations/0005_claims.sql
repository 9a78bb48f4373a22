-- How often a worker has begun the delivery's present attempt after another one may have, and has
-- neither recorded nor deferred it: a message that kills its worker is known by it.
ALTER TABLE deliveries ADD COLUMN claims smallint NOT NULL DEFAULT 0;
