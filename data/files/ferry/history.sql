-- What was live when: one row for each time that a server's link was moved.
CREATE TABLE moves (
    server TEXT NOT NULL,
    release INTEGER NOT NULL,
    moved_at TIMESTAMP NOT NULL,
    moved_by TEXT NOT NULL
);

-- The release that each server shows now.
CREATE VIEW live AS
SELECT server, release, moved_at
FROM moves
QUALIFY row_number() OVER (PARTITION BY server ORDER BY moved_at DESC) = 1;

-- Servers that lag behind the newest release.
CREATE VIEW behind AS
SELECT server, release
FROM live
WHERE release < (SELECT max(release) FROM moves);
