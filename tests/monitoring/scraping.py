"""Asking a consumer's HTTP server, and reading what it exposes."""

from __future__ import annotations

import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def ask(url: str, path: str, accept: str = "*/*") -> tuple[int, str]:
    """The status and the body of an answer."""
    request = urllib.request.Request(url + path, headers={"Accept": accept})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def scrape(url: str) -> Samples:
    """Every sample that is exposed."""
    status, text = ask(url, "/metrics")
    assert status == 200
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def total(samples: Samples, name: str, **labels: str) -> float:
    """What a metric shows, summed over the labels that are not given."""
    return sum(value for (found, has), value in samples.items() if found == name and labels.items() <= set(has))
