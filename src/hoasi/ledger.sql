-- The durable truth of a workspace. One row of `generation` is one request at one provider (or a free copy of one).
CREATE TABLE generation (
  number           INTEGER PRIMARY KEY,          -- order of asking
  id               TEXT NOT NULL UNIQUE,
  fingerprint      TEXT NOT NULL,
  attempt          INTEGER NOT NULL,
  place            TEXT NOT NULL,                -- folder/stem of its first picture
  job_id           TEXT NOT NULL,
  scene_id         TEXT NOT NULL,
  provider         TEXT NOT NULL,
  model            TEXT NOT NULL,
  state            TEXT NOT NULL,
  owner            TEXT,                         -- the living process that works on it
  planned          TEXT NOT NULL,                -- records.Planned as JSON: enough to go on without the source files
  handle           TEXT,                         -- the provider's receipt as JSON
  artifacts        TEXT NOT NULL DEFAULT '[]',
  problem          TEXT,
  paid             TEXT NOT NULL DEFAULT 'no',
  estimate_usd     REAL,
  cost_usd         REAL,
  images           INTEGER NOT NULL,
  copy_of          TEXT REFERENCES generation(id),
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  tries            INTEGER NOT NULL DEFAULT 0,
  created_at       REAL NOT NULL,
  submitted_at     REAL,
  finished_at      REAL,
  duration_s       REAL,
  logged           INTEGER NOT NULL DEFAULT 0    -- its end stands in the job's log: 1; 2: only the semantics do not know
);
CREATE UNIQUE INDEX generation_bought ON generation(fingerprint, attempt) WHERE copy_of IS NULL;
CREATE INDEX generation_place ON generation(place, fingerprint);
CREATE INDEX generation_state ON generation(state, provider);
CREATE INDEX generation_owned ON generation(owner) WHERE owner IS NOT NULL;
CREATE INDEX generation_job ON generation(job_id, scene_id, number);
CREATE INDEX generation_untold ON generation(number) WHERE logged != 1;
CREATE INDEX generation_speed ON generation(provider, model, number) WHERE duration_s IS NOT NULL;

-- An input that was uploaded: the same bytes are not sent twice for a job while the provider keeps them.
CREATE TABLE upload (
  provider TEXT NOT NULL, realm TEXT NOT NULL, job_id TEXT NOT NULL, sha256 TEXT NOT NULL,
  url TEXT NOT NULL, uploaded_at REAL NOT NULL,
  PRIMARY KEY (provider, realm, job_id, sha256)
);

-- What we remember of a log file as we left it, so that an update never parses old entries.
CREATE TABLE log_memory (path TEXT PRIMARY KEY, memory TEXT NOT NULL);

-- Every folder we were to write into: what a killed process left half-done is swept there.
CREATE TABLE folder (path TEXT PRIMARY KEY);
