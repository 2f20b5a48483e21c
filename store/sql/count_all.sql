-- How many executions are meant, of all that there are. What stands between the marks is replaced.
SELECT
    meant.one,
    meant.two,
    meant.three,
    count(*) AS executions,
    sum(count(*)) OVER ()::bigint AS total,
    count(*) OVER () AS all_groups,
    0::bigint AS considered
FROM (
    SELECT /* groups */ NULL::text AS one, NULL::text AS two, NULL::text AS three /* end of groups */
    FROM execution_rows AS e
    WHERE /* filter */ true /* end of filter */
) AS meant
GROUP BY meant.one, meant.two, meant.three
ORDER BY executions DESC, meant.one ASC, meant.two ASC, meant.three ASC
LIMIT $1
