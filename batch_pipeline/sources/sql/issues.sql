CREATE OR REPLACE TABLE shaped AS
-- Every `->>` reads its JSON from the start, so the body, which is nearly all of it, is taken out first.
WITH bodies AS MATERIALIZED (
    SELECT
        * EXCLUDE (item),
        item ->> '$.body' AS body,
        CASE WHEN json_type(item) = 'OBJECT' THEN json_merge_patch(item, '{"body": null}') ELSE item END AS item
    FROM items
),
members AS (
    SELECT
        *,
        row_number() OVER (ORDER BY file, position) AS ordinal,
        coalesce(
            repo_of_url(item ->> '$.repository_url'),
            item ->> '$.repository.full_name',
            item ->> '$.repo.full_name',
            item ->> '$.repo.name',
            CASE WHEN json_type(item, '$.repo') = 'VARCHAR' THEN said(item, '$.repo') END,
            CASE WHEN json_type(item, '$.repository') = 'VARCHAR' THEN said(item, '$.repository') END,
            repo_of_url(item ->> '$.html_url'),
            repo_of_url(item ->> '$.url'),
            $repo
        ) AS repo_said,
        said(item, '$.number') AS number_said,
        coalesce(whole(said(item, '$.number')), number_of_url(item ->> '$.html_url'), number_of_url(item ->> '$.url'))
            AS number_given,
        CASE
            WHEN json_type(item -> 'labels') = 'VARCHAR' AND json_valid(item ->> '$.labels') THEN (item ->> '$.labels')::JSON
            ELSE item -> 'labels'
        END AS labels_said
    FROM bodies
),
columns AS (
    SELECT
        ordinal,
        file,
        position,
        place,
        line,
        item,
        coalesce(repo_of_url(repo_said), repo_said) AS repo,
        number_said,
        number_given IS NULL AS numbered_by_position,
        coalesce(number_given, position) AS number,
        lower(said(item, '$.state')) AS state,
        item ->> '$.title' AS title,
        body,
        labels_said,
        label_names(labels_said) AS labels,
        coalesce(
            item ->> '$.user.login',
            item ->> '$.author.login',
            CASE WHEN json_type(item, '$.user') = 'VARCHAR' THEN item ->> '$.user' END,
            CASE WHEN json_type(item, '$.author') = 'VARCHAR' THEN item ->> '$.author' END
        ) AS author,
        CASE
            WHEN json_type(item, '$.comments') = 'ARRAY' THEN json_array_length(item, '$.comments')::INTEGER
            ELSE small(item ->> '$.comments')
        END AS comment_count,
        coalesce(small(item ->> '$.reactions.total_count'), small(item ->> '$.reactions')) AS reactions,
        coalesce(item ->> '$.html_url', item ->> '$.url') AS url,
        instant(item ->> '$.created_at') AS created_at,
        instant(item ->> '$.updated_at') AS updated_at,
        instant(item ->> '$.closed_at') AS closed_at,
        coalesce(lower(said(item, '$.pull_request')) NOT IN ('false', '0', 'null'), false)
            OR coalesce(regexp_matches(item ->> '$.html_url', '/pull/\d+$'), false) AS pull_request
    FROM members
),
-- What a column holds whole is not repeated in `extra`; everything else is kept there.
held AS (
    SELECT
        *,
        list_filter(
            [
                'title', 'state', 'html_url', 'repository_url',
                CASE WHEN json_type(item, '$.repo') = 'VARCHAR' THEN 'repo' END,
                CASE WHEN json_type(item, '$.repository') = 'VARCHAR' THEN 'repository' END,
                CASE WHEN number_said IS NULL OR whole(number_said) IS NOT NULL THEN 'number' END,
                CASE WHEN json_type(item, '$.user') = 'VARCHAR' THEN 'user' END,
                CASE WHEN json_type(item, '$.author') = 'VARCHAR' AND author = (item ->> '$.author') THEN 'author' END,
                CASE WHEN NOT coalesce(has_objects(labels_said), false) THEN 'labels' END,
                CASE WHEN small(item ->> '$.comments') IS NOT NULL THEN 'comments' END,
                CASE WHEN small(item ->> '$.reactions') IS NOT NULL THEN 'reactions' END,
                CASE WHEN url = (item ->> '$.url') THEN 'url' END,
                CASE WHEN created_at IS NOT NULL OR (item ->> '$.created_at') IS NULL THEN 'created_at' END,
                CASE WHEN updated_at IS NOT NULL OR (item ->> '$.updated_at') IS NULL THEN 'updated_at' END,
                CASE WHEN closed_at IS NOT NULL OR (item ->> '$.closed_at') IS NULL THEN 'closed_at' END
            ],
            lambda member: member IS NOT NULL
        ) AS whole_members
    FROM columns
),
numbered AS (
    SELECT
        *,
        repo || '#' || number AS record_id,
        -- Without numbers, row 3 of two files would be the same issue.
        numbered_by_position AND NOT pull_request AND row_number() OVER (
            PARTITION BY repo, number, pull_request
            ORDER BY numbered_by_position, ordinal
        ) > 1 AS number_taken
    FROM held
)
SELECT
    * EXCLUDE (extra_members, item, number_said, numbered_by_position, number_taken, labels_said, whole_members),
    CASE WHEN extra_members <> '{}' THEN extra_members END AS extra,
    file AS source,
    CASE
        WHEN json_type(item) <> 'OBJECT' THEN 'not an issue, but ' || lower(json_type(item))
        WHEN pull_request THEN NULL
        WHEN coalesce(trim(title), '') = '' THEN 'no `title`; it has ' || array_to_string(json_keys(item), ', ')
        WHEN repo IS NULL THEN 'no repository; add a column `repo` (owner/name), or give one for all with --repo'
        WHEN NOT regexp_matches(repo, $name) OR contains(repo, $forbidden)
            THEN '`' || repo || '` is no repository''s name (owner/name)'
        WHEN number_said IS NOT NULL AND coalesce(whole(number_said), 0) = 0
            THEN '`number` is `' || number_said || '`, not a whole number above 0'
        WHEN number_taken THEN 'no `number`, and its position is taken: another row is ' || record_id
    END AS problem
FROM (
    SELECT
        *,
        json_merge_patch(
            item,
            to_json(map(whole_members, list_transform(whole_members, lambda member: NULL::VARCHAR)))
        )::VARCHAR AS extra_members
    FROM numbered
);
