"""The catalogue of workflows and users that events named."""

from __future__ import annotations

from events.catalogue import Catalogue
from tests.lives import at, event


def named(catalogue: Catalogue) -> dict[tuple[str, str], tuple[object, str | None]]:
    """Workflows with the time of the first event and the name."""
    return {key: (entry.created_at, entry.name) for key, entry in catalogue.workflows.items()}


def test_an_event_without_a_name_names_its_workflow_all_the_same() -> None:
    """A workflow is known by its id before anybody gives it a name."""
    assert named(Catalogue.of([event("started", 3)])) == {("default", "invoice"): (at(3), None)}


def test_a_later_silence_keeps_the_name() -> None:
    """An event without a name takes none away, wherever it lies in time."""
    history = [event("started", 3, workflow_name="Invoice"), event("heartbeat", 9), event("heartbeat", 1)]
    for order in (history, history[::-1]):
        assert named(Catalogue.of(order)) == {("default", "invoice"): (at(1), "Invoice")}


def test_the_latest_name_wins() -> None:
    """Of two names the one of the later event wins in either order, and merged from either side."""
    old, new = event("started", 3, workflow_name="Old"), event("heartbeat", 4, workflow_name="New")
    for first, second in ((old, new), (new, old)):
        assert named(Catalogue.of([first, second])) == {("default", "invoice"): (at(3), "New")}
        merged = Catalogue.of([first])
        merged.merge(Catalogue.of([second]))
        assert named(merged) == {("default", "invoice"): (at(3), "New")}


def test_users_keep_their_first_time() -> None:
    """A user is known since the first event that named them, and an event without a user names nobody."""
    catalogue = Catalogue.of(
        [event("started", 3, user_id="ada"), event("heartbeat", 1, user_id="ada"), event("heartbeat")]
    )
    assert catalogue.users == {"ada": at(1)}
    catalogue.merge(Catalogue.of([event("started", 2, user_id="bob")]))
    assert catalogue.users == {"ada": at(1), "bob": at(2)}


def test_namespaces_keep_workflows_apart() -> None:
    """The same id in two namespaces is two workflows."""
    catalogue = Catalogue.of([event("started"), event("started", namespace="n")])
    assert set(catalogue.workflows) == {("default", "invoice"), ("n", "invoice")}
