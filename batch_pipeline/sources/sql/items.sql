-- Where rows of every origin come together: one JSON object each.
SET TimeZone = 'UTC';

CREATE TABLE items (
    file VARCHAR,
    position BIGINT,   -- of the row in its file, from 1
    place VARCHAR,     -- how a person finds it there: "row 3", "item 3"
    line BIGINT,       -- where it is known
    item JSON
);

-- Text of a member, without what is as good as nothing.
CREATE MACRO said(item, path) AS nullif(trim(item ->> path), '');

-- "owner/name" out of a page's or the API's address, of github.com or of GitHub Enterprise.
CREATE MACRO repo_of_url(url) AS
    nullif(regexp_extract(url, '^https?://[^/]+/(?:api/v3/)?(?:repos/)?([^/]+/[^/?#]+)', 1), '');

CREATE MACRO number_of_url(url) AS
    try_cast(nullif(regexp_extract(url, '/(?:issues|pull)/(\d+)(?:[/?#].*)?$', 1), '') AS BIGINT);

-- An instant, UTC where no zone is said.
CREATE MACRO instant(text) AS
    CASE
        WHEN regexp_matches(text, '\d:\d\d.*(Z|[+-]\d\d(:?\d\d)?)$') THEN try_cast(text AS TIMESTAMPTZ)
        ELSE timezone('UTC', try_cast(text AS TIMESTAMP))
    END;

CREATE MACRO whole(text) AS
    CASE WHEN regexp_matches(text, '^\d+(\.0+)?$') THEN try_cast(text AS BIGINT) END;

CREATE MACRO small(text) AS
    CASE WHEN regexp_matches(text, '^\d+(\.0+)?$') THEN try_cast(text AS INTEGER) END;

CREATE MACRO elements(list) AS from_json(list, '["JSON"]');

-- GitHub gives labels as objects; exports give names, JSON in a cell, or names between commas.
CREATE MACRO label_names(labels) AS
    list_filter(
        CASE
            WHEN json_type(labels) = 'ARRAY' THEN list_transform(
                elements(labels),
                lambda label: CASE WHEN json_type(label) = 'OBJECT' THEN label ->> '$.name' ELSE label ->> '$' END
            )
            WHEN json_type(labels) = 'VARCHAR' THEN list_transform(
                string_split(labels ->> '$', ','),
                lambda label: trim(label)
            )
        END,
        lambda label: label <> ''
    );

CREATE MACRO has_objects(list) AS
    json_type(list) = 'ARRAY' AND list_contains(json_type(list, '$[*]'), 'OBJECT');
