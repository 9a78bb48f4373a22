-- One row: the newest of the dispatchers' probes that has gone the whole way.
CREATE TABLE probe (
    is_the_row boolean PRIMARY KEY DEFAULT true CHECK (is_the_row),
    -- When it was published.
    sent_at    timestamptz NOT NULL
);
