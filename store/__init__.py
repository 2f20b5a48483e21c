"""PostgreSQL: applying batches, positions, migrations and reading. The only importer of asyncpg."""

from __future__ import annotations

from store.batch import Store
from store.errors import ExecutionQueryError, StoreError
from store.execution import Execution, ExecutionStats, ExecutionWithWorkflow, Workflow
from store.memory import MemoryStore
from store.migrate import migrate
from store.postgres import PostgresStore
from store.reader import ExecutionReader

__all__ = [
    "Execution",
    "ExecutionQueryError",
    "ExecutionReader",
    "ExecutionStats",
    "ExecutionWithWorkflow",
    "MemoryStore",
    "PostgresStore",
    "Store",
    "StoreError",
    "Workflow",
    "migrate",
]
