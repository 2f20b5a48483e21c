"""PostgreSQL: applying batches, positions, migrations and reading. The only importer of asyncpg."""

from __future__ import annotations

from store.batch import Store
from store.counting import Count
from store.errors import ExecutionQueryError, StoreError
from store.execution import Execution, ExecutionWithWorkflow, Workflow
from store.execution_stats import ExecutionStats, Timing
from store.filters import Filter
from store.memory import MemoryStore
from store.migrate import migrate
from store.page import Page
from store.postgres import PostgresStore
from store.reader import ExecutionReader

__all__ = [
    "Count",
    "Execution",
    "ExecutionQueryError",
    "ExecutionReader",
    "ExecutionStats",
    "ExecutionWithWorkflow",
    "Filter",
    "MemoryStore",
    "Page",
    "PostgresStore",
    "Store",
    "StoreError",
    "Timing",
    "Workflow",
    "migrate",
]
