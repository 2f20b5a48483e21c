-- How many of the newest so many executions are meant. What stands between the marks is replaced: the walk by conditions
-- that one index serves in this order, so that no more is read; the filter by all others. One more is read than counts,
-- which tells whether these are all.
SELECT
    looked_at.one,
    looked_at.two,
    looked_at.three,
    count(*) FILTER (WHERE looked_at.counts) AS executions,
    sum(count(*) FILTER (WHERE looked_at.counts)) OVER ()::bigint AS total,
    sum((count(*) FILTER (WHERE looked_at.counts) > 0)::integer) OVER ()::bigint AS all_groups,
    sum(count(*)) OVER ()::bigint AS considered
FROM (
    SELECT
        newest.one,
        newest.two,
        newest.three,
        newest.meant AND row_number() OVER (ORDER BY newest.moment DESC, newest.id DESC) <= $1 AS counts
    FROM (
        SELECT
            /* groups */ NULL::text AS one, NULL::text AS two, NULL::text AS three /* end of groups */,
            (/* filter */ true /* end of filter */) AS meant,
            /* order */ e.started_at /* end of order */ AS moment,
            e.id
        FROM execution_rows AS e
        WHERE /* walk */ true /* end of walk */
        ORDER BY moment DESC, id DESC
        LIMIT $1::bigint + 1
    ) AS newest
) AS looked_at
GROUP BY looked_at.one, looked_at.two, looked_at.three
ORDER BY executions DESC, looked_at.one ASC, looked_at.two ASC, looked_at.three ASC
LIMIT $2
