-- The most frequent errors among the latest: alike are those of one type whose messages differ in numbers and ids alone.
SELECT
    latest.type,
    latest.message,
    count(*) AS executions,
    count(DISTINCT latest.workflow_id) AS workflows,
    min(latest.completed_at) AS first_at,
    max(latest.completed_at) AS last_at,
    (array_agg(latest.id ORDER BY latest.completed_at DESC, latest.id DESC))[1] AS latest_id,
    sum(count(*)) OVER ()::bigint AS considered
FROM (
    SELECT
        e.id,
        e.workflow_id,
        e.completed_at,
        e.error ->> 'type' AS type,
        left(
            regexp_replace(
                split_part(e.error_message, chr(10), 1),
                '[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9]+',
                '#',
                'g'
            ),
            200
        ) AS message
    FROM execution_rows AS e
    WHERE /* filter */ true /* end of filter */
    ORDER BY e.completed_at DESC, e.id DESC
    LIMIT $1
) AS latest
GROUP BY latest.type, latest.message
ORDER BY count(*) DESC, max(latest.completed_at) DESC, latest.type ASC, latest.message ASC
LIMIT $2
