-- Three roles, each with what its work needs and nothing more. Run by an administrator of the database, after
-- `wex migrate` and again after each upgrade that migrates; running it twice changes nothing:
--   psql --single-transaction -v ON_ERROR_STOP=1 -f deploy/postgresql/roles.sql "$ADMINISTRATORS_URL"
-- The roles cannot log in. Give your users one each: CREATE ROLE shop LOGIN PASSWORD '…' IN ROLE wex_reader;
-- Whoever migrates or replays must act as the owner, or what they make would be theirs:
-- CREATE ROLE ops LOGIN PASSWORD '…' IN ROLE wex_owner; ALTER ROLE ops SET role TO wex_owner;
--
-- wex_owner     owns the tables: `wex migrate`, verify, repair, replay, redrive, purge, incidents resume and accept-gap
-- wex_consumer  `wex consume`, `wex temporal sync`, `wex doctor`, and reading dead letters and incidents
-- wex_reader    executions with their workflows and users; no dead letters, no withheld payloads, no incidents
--
-- Roles belong to the whole server: where two databases of one server use these, a user of one can reach the other.
DO $$
DECLARE
    name text;
    found record;
BEGIN
    FOREACH name IN ARRAY ARRAY['wex_owner', 'wex_consumer', 'wex_reader']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        END IF;
    END LOOP;

    -- Verify and replay make schemas of their own, and a swap one more.
    EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO wex_owner', current_database());
    REVOKE CREATE ON SCHEMA public FROM public;
    GRANT USAGE, CREATE ON SCHEMA public TO wex_owner;
    GRANT USAGE ON SCHEMA public TO wex_consumer, wex_reader;

    -- Whoever migrated before hands everything over; sequences of identity columns go with their tables.
    FOR found IN
        SELECT c.relname, CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind
        FROM pg_class AS c
        WHERE
            c.relnamespace = 'public'::regnamespace
            AND c.relkind IN ('r', 'p', 'v')
            AND c.relname IN (
                'workflow_executions', 'execution_rows', 'workflows', 'users', 'positions', 'dead_letters',
                'withheld_payloads', 'incidents', 'sync_places', 'schema_migrations', 'execution_statistics',
                'statistics_deltas', 'statistics_mark', 'statistics_missing', 'purges', 'standing_purges'
            )
    LOOP
        EXECUTE format('ALTER %s public.%I OWNER TO wex_owner', found.kind, found.relname);
        EXECUTE format('REVOKE ALL ON public.%I FROM public, wex_consumer, wex_reader', found.relname);
    END LOOP;
    ALTER TYPE public.incoming_execution OWNER TO wex_owner;
    ALTER FUNCTION public.same_attempt(bytea, integer) OWNER TO wex_owner;
    ALTER FUNCTION public.same_verdict(bytea, bytea) OWNER TO wex_owner;
    ALTER FUNCTION public.count_changes() OWNER TO wex_owner;
    ALTER FUNCTION public.count_all_executions() OWNER TO wex_owner;
    ALTER FUNCTION public.duration_bin(bigint) OWNER TO wex_owner;
    ALTER FUNCTION public.statistics_of(
        text, timestamptz, timestamptz, bigint, timestamptz, timestamptz, text, timestamptz
    ) OWNER TO wex_owner;
END
$$;

GRANT SELECT, INSERT, UPDATE ON public.workflow_executions, public.workflows, public.users, public.positions,
public.sync_places TO wex_consumer;
GRANT SELECT, INSERT ON public.dead_letters, public.withheld_payloads, public.incidents TO wex_consumer;
GRANT SELECT ON public.execution_rows, public.schema_migrations TO wex_consumer;
-- It counts what it applies, and merges what was counted.
GRANT SELECT, INSERT, DELETE ON public.statistics_deltas TO wex_consumer;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.execution_statistics TO wex_consumer;
GRANT SELECT, UPDATE ON public.statistics_mark TO wex_consumer;

GRANT SELECT ON public.workflow_executions, public.execution_rows, public.workflows, public.users,
public.execution_statistics, public.statistics_deltas, public.statistics_mark TO wex_reader;
-- A read that waits for its own write looks at how far the table is, and how long ago it came there.
GRANT SELECT (topic, partition, next_offset, state, moved_at) ON public.positions TO wex_reader;
