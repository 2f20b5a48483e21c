"""The exercise: incidents on real servers, each with its alert, the runbook's entry, its commands, and what is left."""
