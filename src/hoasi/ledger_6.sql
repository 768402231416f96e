-- Version 6: calls that were answered with a task (MCP). `batch` names what the call began; `result` is its answer, written once
-- everything has ended.
CREATE TABLE task (
  id         TEXT PRIMARY KEY,                   -- cannot be guessed
  tool       TEXT NOT NULL,
  arguments  TEXT NOT NULL,
  batch      TEXT NOT NULL,
  status     TEXT NOT NULL,                      -- working, completed, cancelled
  is_unwanted INTEGER NOT NULL DEFAULT 0,        -- the client asked to cancel it
  created_at REAL NOT NULL,
  updated_at REAL NOT NULL,
  result     TEXT
);
