"""Hypothesis tries the same examples in every run."""

from __future__ import annotations

from tests.strategies import use_profile

use_profile()
