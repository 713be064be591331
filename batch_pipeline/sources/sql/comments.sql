CREATE OR REPLACE TABLE shaped_comments AS
SELECT
    item ->> '$.id' AS comment_id,
    $repo || '#' || number_of_url(item ->> '$.issue_url') AS record_id,
    $repo AS repo,
    item ->> '$.user.login' AS author,
    item ->> '$.body' AS body,
    small(item ->> '$.reactions.total_count') AS reactions,
    item ->> '$.html_url' AS url,
    instant(item ->> '$.created_at') AS created_at,
    instant(item ->> '$.updated_at') AS updated_at,
    file AS source
FROM items
WHERE number_of_url(item ->> '$.issue_url') IS NOT NULL
    -- the stream has the comments on pull requests too
    AND NOT coalesce(contains(item ->> '$.html_url', '/pull/'), false)
ORDER BY position;
