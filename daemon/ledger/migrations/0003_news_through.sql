-- Up to when calls of a contract are new or changed, so that settlement can stop where it comes to what stands.
-- Beyond any time: it is not known, and all that follows is settled.
ALTER TABLE unsettled ADD COLUMN through INTEGER NOT NULL DEFAULT 9223372036854775807;
