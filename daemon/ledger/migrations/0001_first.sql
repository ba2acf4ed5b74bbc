-- Where the ledger stands. One row; it changes with every commit that adds something.
CREATE TABLE state (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    time      INTEGER NOT NULL,  -- the ledger's time, microseconds UTC (design.md §2)
    evidence  INTEGER NOT NULL,  -- seq of the last evidence: a tail cut off is noticed
    entry     INTEGER NOT NULL,  -- seq of the last entry, likewise
    key_check BLOB NOT NULL      -- made with the number key: another key is refused
) STRICT;

-- Every text of tariffs, contracts and configuration that was ever used.
CREATE TABLE document (
    no   INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;

-- A set of documents in force at once; evidence of kind 5 says from when.
CREATE TABLE catalogue (
    version INTEGER PRIMARY KEY,
    hash    BLOB NOT NULL UNIQUE
) STRICT;

CREATE TABLE catalogue_document (
    catalogue INTEGER NOT NULL REFERENCES catalogue (version),
    place     INTEGER NOT NULL,
    document  INTEGER NOT NULL REFERENCES document (no),
    PRIMARY KEY (catalogue, place)
) STRICT, WITHOUT ROWID;

-- What records are about: calls and fees. A projection of the evidence, for looking up.
-- The unique key is (kind, key); the index holds 8 bytes of its hash, because Call-IDs are long and random.
CREATE TABLE subject (
    no         INTEGER PRIMARY KEY,
    kind       INTEGER NOT NULL CHECK (kind IN (0, 1)),  -- 0 call, 1 fee
    key        TEXT NOT NULL,     -- call_id; ["CONTRACT","PLAN","DATE"]
    key_hash   INTEGER NOT NULL,
    contract   TEXT,              -- as assigned, else as matched
    begun      INTEGER NOT NULL,  -- talk start, else set-up
    ended      INTEGER NOT NULL CHECK (ended IN (0, 1)),
    first      INTEGER,           -- seq of its first evidence
    latest     INTEGER,           -- seq of its latest evidence of kind 0
    last       INTEGER,           -- seq of its last evidence of any kind
    assignment INTEGER,           -- seq of the assignment in force
    decision   INTEGER            -- seq of the decision in force
) STRICT;
CREATE INDEX subject_by_key ON subject (key_hash);
CREATE INDEX subject_by_contract ON subject (contract, begun);
CREATE INDEX subject_by_time ON subject (begun);
CREATE INDEX subject_running ON subject (no) WHERE ended = 0;

-- What sources and operators said. Append-only, hash-chained.
-- kind: 0 call, 1 assignment, 2 decision, 3 clock, 4 closing, 5 catalogue
CREATE TABLE evidence (
    seq      INTEGER PRIMARY KEY,
    kind     INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 5),
    subject  INTEGER,             -- subject.no, where it is about a call
    previous INTEGER,             -- the evidence before it about the same call
    at       INTEGER NOT NULL,    -- up to when it tells, microseconds UTC
    body     BLOB NOT NULL,
    hash     BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX evidence_marks ON evidence (kind, seq) WHERE kind >= 4;

-- What settlement concluded. Append-only, hash-chained.
CREATE TABLE entry (
    seq       INTEGER PRIMARY KEY,
    kind      INTEGER NOT NULL CHECK (kind IN (0, 1)),  -- 0 entry, 1 reversal of `previous`
    subject   INTEGER NOT NULL,   -- subject.no; `verify` checks it, a constraint would cost a look-up for each entry
    previous  INTEGER,            -- the entry or reversal before it about the same subject
    catalogue INTEGER NOT NULL REFERENCES catalogue (version),
    begun     INTEGER NOT NULL,   -- the record's talk start, else set-up
    body      BLOB NOT NULL,      -- the record; empty for a reversal
    hash      BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE UNIQUE INDEX entry_reversed ON entry (previous) WHERE kind = 1;

-- The last entry about each subject: its record, as of now.
CREATE TABLE record (
    subject INTEGER PRIMARY KEY,  -- subject.no
    entry   INTEGER NOT NULL,
    live    INTEGER NOT NULL CHECK (live IN (0, 1)),  -- 0: the last one is a reversal, there is no record
    moved   TEXT                                      -- the contract of the record, where it is not the subject's
) STRICT;
CREATE INDEX record_moved ON record (moved) WHERE moved IS NOT NULL;

-- Contracts with evidence that is not settled yet, and since when.
CREATE TABLE unsettled (
    contract TEXT PRIMARY KEY,
    since    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The numbers behind the tokens: the only place they stand in, and the only one that is ever emptied.
CREATE TABLE number (
    token  BLOB PRIMARY KEY,
    number TEXT NOT NULL,
    day    INTEGER NOT NULL      -- of the latest call with it, days since 1970-01-01
) STRICT, WITHOUT ROWID;

-- Open dialogs of a source, and the place in the source that they belong to.
CREATE TABLE snapshot (
    source   TEXT PRIMARY KEY,
    position TEXT NOT NULL,
    body     BLOB NOT NULL
) STRICT;

-- Ranges exported by night. Planned before the files are written: a crash writes the same range again.
CREATE TABLE export (
    first INTEGER PRIMARY KEY,
    last  INTEGER NOT NULL CHECK (last >= first),
    done  INTEGER NOT NULL CHECK (done IN (0, 1))
) STRICT;

CREATE TRIGGER evidence_stays BEFORE UPDATE ON evidence BEGIN SELECT RAISE(ABORT, 'evidence is never updated'); END;
CREATE TRIGGER evidence_remains BEFORE DELETE ON evidence BEGIN SELECT RAISE(ABORT, 'evidence is never deleted'); END;
CREATE TRIGGER entry_stays BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'entries are never updated'); END;
CREATE TRIGGER entry_remains BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'entries are never deleted'); END;
CREATE TRIGGER document_stays BEFORE UPDATE ON document BEGIN SELECT RAISE(ABORT, 'documents are never updated'); END;
CREATE TRIGGER document_remains BEFORE DELETE ON document BEGIN SELECT RAISE(ABORT, 'documents are never deleted'); END;
CREATE TRIGGER catalogue_stays BEFORE UPDATE ON catalogue BEGIN SELECT RAISE(ABORT, 'catalogues are never updated'); END;
CREATE TRIGGER catalogue_remains BEFORE DELETE ON catalogue BEGIN SELECT RAISE(ABORT, 'catalogues are never deleted'); END;
