-- Evidence of kind 6: what was asked about somebody's number (kept for a dispute, let go, erased).
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'kind BETWEEN 0 AND 5', 'kind BETWEEN 0 AND 6') WHERE type = 'table' AND name = 'evidence';
PRAGMA writable_schema = RESET;

-- Numbers that are kept although their time has come, and until when. A projection of the evidence.
CREATE TABLE held (
    token    BLOB PRIMARY KEY,
    until    INTEGER NOT NULL,   -- microseconds UTC
    evidence INTEGER NOT NULL    -- seq of the evidence that says so
) STRICT, WITHOUT ROWID;

-- Numbers that were erased on request: those of calls up to this day are not stored again. A projection of the evidence.
CREATE TABLE erased (
    token    BLOB PRIMARY KEY,
    day      INTEGER NOT NULL,   -- days since 1970-01-01
    evidence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The ledger's time when the state of a source was kept: what lies there for long holds numbers for long.
ALTER TABLE snapshot ADD COLUMN at INTEGER NOT NULL DEFAULT 0;

-- Whether something was deleted whose bytes may still lie in the file: 0 no, 1 in the tables that hold numbers, 2 anywhere.
ALTER TABLE state ADD COLUMN sweep INTEGER NOT NULL DEFAULT 2;

-- Numbers of calls before this day are forgotten, and not stored again: days since 1970-01-01.
ALTER TABLE state ADD COLUMN forgotten INTEGER NOT NULL DEFAULT -9223372036854775808;

-- Contracts were kept with their numbers; from now on tokens stand there. Nothing is computed from the earlier texts any more,
-- and those in force are stored anew when the ledger is opened for writing.
DROP TRIGGER document_stays;
UPDATE document SET text = '' WHERE kind = 'contracts';
CREATE TRIGGER document_stays BEFORE UPDATE ON document BEGIN SELECT RAISE(ABORT, 'documents are never updated'); END;
