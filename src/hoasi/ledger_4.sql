-- Version 4: names that other programs insist on. `wanted` is the generation last asked for under a name, `lies` the one
-- whose picture is there now.
CREATE TABLE fixed_name (
  name   TEXT PRIMARY KEY,                       -- workspace-relative, without extension
  wanted TEXT NOT NULL REFERENCES generation(id),
  lies   TEXT REFERENCES generation(id)
);
