SELECT w.*
FROM live_schema.workflows AS w
INNER JOIN unnest($1::text[], $2::text[]) AS k (namespace, id) ON w.namespace = k.namespace AND w.id = k.id
