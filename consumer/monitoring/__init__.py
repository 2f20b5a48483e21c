"""Seen from outside: metrics, health and log events, each declared once with what an operator does about it."""
