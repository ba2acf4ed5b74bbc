-- When a contract's records change by time alone: the deadline of the first call that waits for a decision.
-- A projection: settlement derives it, and `verify` holds it against what it derives.
CREATE TABLE deadline (
    contract TEXT PRIMARY KEY,
    at       INTEGER NOT NULL     -- microseconds UTC
) STRICT, WITHOUT ROWID;
CREATE INDEX deadline_by_time ON deadline (at);

-- A ledger from before has none of them yet: every contract is settled once more.
INSERT INTO unsettled (contract, since) SELECT contract, min(begun) FROM subject WHERE contract IS NOT NULL GROUP BY contract
ON CONFLICT (contract) DO NOTHING;
