"""The runtime below the Temporal SDK, made to speak through our log: by itself it writes to standard output."""

from __future__ import annotations

import logging
from functools import cache

from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter


@cache
def runtime() -> Runtime:
    """Return the one runtime of this process."""
    forwarding = LogForwardingConfig(logger=logging.getLogger("temporalio.core"))
    told = LoggingConfig(filter=TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding=forwarding)
    return Runtime(telemetry=TelemetryConfig(logging=told))
