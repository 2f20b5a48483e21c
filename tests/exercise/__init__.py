"""The exercise: incidents on real servers, each with its alert, the entry of the runbook, its commands, and what is left."""
