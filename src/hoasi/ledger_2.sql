-- Version 2: places of several kinds at one provider (lane), requests that take two paid steps (step), and what the
-- provider told of the result (facts).
ALTER TABLE generation ADD COLUMN lane TEXT NOT NULL DEFAULT '';
ALTER TABLE generation ADD COLUMN slots INTEGER NOT NULL DEFAULT 1;
ALTER TABLE generation ADD COLUMN step TEXT;
ALTER TABLE generation ADD COLUMN facts TEXT NOT NULL DEFAULT '{}';
UPDATE generation SET lane = provider;
CREATE INDEX generation_lane ON generation(lane, state);
