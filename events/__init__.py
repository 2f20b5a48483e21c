"""Lifecycle events of workflow executions: the contract and the fold."""
