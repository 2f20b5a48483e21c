-- There are few deltas beside many statistics, and the planner cannot know it: it is to look each one up. What is added
-- up is added up in memory.
SELECT
    set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true),
    set_config('work_mem', '64MB', true)
