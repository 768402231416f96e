-- Version 3: what was pushed to a bucket. `upload_id` while its parts are under way, `etag` and `pushed_at` when it is there.
CREATE TABLE pushed (
  endpoint TEXT NOT NULL,                        -- the server's address; '' for AWS
  url      TEXT NOT NULL,                        -- s3://bucket/key
  path     TEXT NOT NULL,                        -- workspace-relative
  sha256   TEXT NOT NULL,
  upload_id TEXT, etag TEXT, pushed_at REAL,
  PRIMARY KEY (endpoint, url)
);
