-- What each source last said of a call that several kinds of sources may see: the call's evidence is made of all of them.
-- A projection, to be written over; a call without one here was told by the only kind of source there was.
CREATE TABLE sighting (
    witness INTEGER NOT NULL,    -- the kind of source
    own     TEXT NOT NULL,       -- the call's name there
    call    TEXT NOT NULL,       -- its name in the ledger
    role    INTEGER NOT NULL,    -- what the source is there for
    body    BLOB NOT NULL,       -- the call as the source has it
    PRIMARY KEY (witness, own)
) STRICT, WITHOUT ROWID;
CREATE INDEX sighting_by_call ON sighting (call);
