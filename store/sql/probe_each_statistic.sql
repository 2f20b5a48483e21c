-- There are few deltas beside many statistics, and the planner cannot know it: it is to look each one up.
SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)
