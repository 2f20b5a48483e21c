"""Progress of work that takes long: how much, how fast, and how long it will still take. On standard error."""

from __future__ import annotations

import sys
import time

import click

from consumer.commands.output import duration

EVERY_SECONDS = 2.0
EVERY_SECONDS_IN_A_LOG = 10.0


class Progress:
    """Tells every few seconds how far something is; on a terminal in one line that is written over."""

    def __init__(self, verb: str, of: str = "records", *, quiet: bool = False) -> None:
        self._verb = verb
        self._of = of
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._begun = self._told = time.monotonic()
        self._shown = False

    def __call__(self, done: int, total: int) -> None:
        """Take note of how far it is, and tell it if it is time."""
        now = time.monotonic()
        if self._quiet or now - self._told < (EVERY_SECONDS if self._terminal else EVERY_SECONDS_IN_A_LOG):
            return
        self._told = now
        self._shown = True
        click.echo(
            ("\r\033[K" if self._terminal else "") + self.line(done, total, now), err=True, nl=not self._terminal
        )

    def line(self, done: int, total: int, now: float) -> str:
        """Return what is told."""
        rate = done / max(now - self._begun, 1e-9)
        left = max(total - done, 0) / rate if rate else 0
        percent = 100 * done / total if total else 100
        return (
            f"{self._verb} {done:,} of {total:,} {self._of} ({percent:.0f} %), {rate:,.0f}/s,"
            f" {duration(left * 1000)} left"
        )

    def end(self) -> None:
        """Leave the line."""
        if self._shown and self._terminal:
            click.echo(err=True)
