"""The metrics of one consumer: what happened is counted as it happens, what is, is looked up when somebody asks.

The loop counts, and now and then leaves a view of where it stands; a thread of the HTTP server reads both. The log
tells the same counters every few seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from consumer.monitoring.log_events import tell
from consumer.monitoring.metric_table import METRICS, MetricName
from events.fold import FOLD_VERSION
from events.position import TopicPartition

READY_GRACE_SECONDS = 3.0  # an audit, or a rebalance that is soon over, does not make a consumer unready

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # it has no annotations


@dataclass(frozen=True, slots=True)
class PartitionView:
    """Where one partition stands.

    Attributes:
        end: the end of its log when it was last read, None before that.
        written_after: the oldest record that is not applied was written at this time or later; None if not known.
    """

    next_offset: int
    halted: bool
    end: int | None = None
    written_after: float | None = None

    @property
    def lag(self) -> int | None:
        """Records that are not applied, where the end is known."""
        return None if self.end is None else max(0, self.end - self.next_offset)

    def lag_seconds(self, now: float) -> float | None:
        """How long the oldest of them has been in the log, where that is known."""
        if self.lag == 0:
            return 0.0
        return None if self.lag is None or self.written_after is None else max(0.0, now - self.written_after)


@dataclass(frozen=True, slots=True)
class View:
    """Where a consumer stands, as its loop last left it.

    Attributes:
        joined: whether it has joined the group.
        ready_at: when everything was last claimed or halted, with a database that answers.
        ends_read_at: when the ends of the logs were last read.
    """

    partitions: Mapping[TopicPartition, PartitionView] = field(default_factory=dict)
    joined: bool = False
    ready_at: float | None = None
    ends_read_at: float | None = None

    @property
    def halted(self) -> list[TopicPartition]:
        """The partitions that an incident holds."""
        return [name for name, partition in self.partitions.items() if partition.halted]

    def ready(self, now: float) -> bool:
        """Whether the consumer applies what comes."""
        return self.joined and self.ready_at is not None and now - self.ready_at <= READY_GRACE_SECONDS


class Metrics:
    """The metrics of `METRICS`, in a registry of their own.

    Args:
        now: the clock that the view's times are of.
        silent_seconds: how long the loop has not turned.
    """

    def __init__(self, now: Callable[[], float], silent_seconds: Callable[[], float] = lambda: 0.0) -> None:
        self.registry = CollectorRegistry()
        self.view = View()
        self.now = now
        self.silent_seconds = silent_seconds
        self._counters = {name: self._counter(name) for name, metric in METRICS.items() if metric.kind == "counter"}
        self._histograms = {
            name: Histogram(name, metric.meaning, metric.labels, registry=self.registry, buckets=metric.buckets)
            for name, metric in METRICS.items()
            if metric.kind == "histogram"
        }
        self.registry.register(_Standing(self))
        ProcessCollector(registry=self.registry)
        self._told: dict[str, float] = {}

    def _counter(self, name: MetricName) -> Counter:
        metric = METRICS[name]
        counter = Counter(name, metric.meaning, metric.labels, registry=self.registry)
        for values in metric.values:
            counter.labels(*values)
        return counter

    def count(self, name: MetricName, *labels: str, by: float = 1) -> None:
        """Count something that happened."""
        counter = self._counters[name]
        (counter.labels(*labels) if labels else counter).inc(by)

    def observe(self, name: MetricName, value: float) -> None:
        """Take a measurement in."""
        self._histograms[name].observe(value)

    def value(self, name: MetricName, **labels: str) -> float:
        """Return what a metric shows, summed over the labels that are not given; 0 where it shows nothing."""
        samples = (sample for family in self.registry.collect() for sample in family.samples if sample.name == name)
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def tell(self) -> None:
        """Say in the log what was counted since it was last told."""
        told, self._told = self._told, dict(self._counted())
        if new := {name: count - told.get(name, 0) for name, count in self._told.items() if count > told.get(name, 0)}:
            tell(
                "progress", "since last told: %s", ", ".join(f"{name} {count:g}" for name, count in new.items()), **new
            )

    def _counted(self) -> Iterable[tuple[str, float]]:
        for counter in self._counters.values():
            for family in counter.collect():
                for sample in family.samples:
                    name = " ".join([family.name.removeprefix("wex_"), *filter(None, sample.labels.values())])
                    yield name.replace("_", " "), sample.value


class _Standing(Collector):
    """The gauges: read from the view when they are asked for, so that a partition that is gone shows nothing."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> list[Metric]:
        """Name nothing before it is asked for: what collects has checked the names already."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Yield every gauge."""
        metrics, view, now = self._metrics, self._metrics.view, self._metrics.now()
        ages = {name: partition.lag_seconds(now) for name, partition in view.partitions.items()}
        yield _by_partition("wex_lag_records", {name: each.lag for name, each in view.partitions.items()})
        yield _by_partition("wex_lag_seconds", ages)
        yield _by_partition("wex_partition_halted", {name: each.halted for name, each in view.partitions.items()})
        yield _single("wex_oldest_unapplied_seconds", max((age for age in ages.values() if age is not None), default=0))
        if view.ends_read_at is not None:
            yield _single("wex_lag_age_seconds", max(0.0, now - view.ends_read_at))
        yield _single("wex_ready", view.ready(now))
        yield _single("wex_loop_silent_seconds", metrics.silent_seconds())
        halted = len(view.halted)
        yield _family("wex_partitions", {("claimed",): len(view.partitions) - halted, ("halted",): halted})
        yield _family("wex_build_info", {(version("workflow-executions"), str(FOLD_VERSION)): 1})


def _family(name: MetricName, values: Mapping[tuple[str, ...], float | None]) -> Metric:
    family = GaugeMetricFamily(name, METRICS[name].meaning, labels=METRICS[name].labels)
    for labels, value in values.items():
        if value is not None:
            family.add_metric(labels, value)
    return family


def _single(name: MetricName, value: float) -> Metric:
    return _family(name, {(): value})


def _by_partition(name: MetricName, values: Mapping[TopicPartition, float | None]) -> Metric:
    return _family(name, {(topic, str(number)): value for (topic, number), value in values.items()})
