-- Version 5: what a workspace spent since a moment, without looking at older rows.
CREATE INDEX generation_sent ON generation(COALESCE(submitted_at, created_at));
