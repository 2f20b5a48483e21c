"""The fault campaign: real consumers on real servers under seeded faults, and oracles that idempotency cannot fool.

Every consumer writes a *ledger* that is not idempotent in the transaction of its batch: one row per record that it
applied, one per step of a position. A record that is applied twice stands there twice, whatever the tables show.
"""
