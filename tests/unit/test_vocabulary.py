"""The tables of words are complete, and say what the contract says."""

from __future__ import annotations

from events import Authority, Status, Verb
from events.vocabulary import AUTHORITY_LEVELS, TERMINAL_STATUSES, VERBS, Rank

# From the contract: verb, status, and place in the order of verbs at equal times.
CONTRACT = [
    ("scheduled", "pending", Rank.SCHEDULED),
    ("heartbeat", "running", Rank.SIGN_OF_LIFE),
    ("started", "running", Rank.STEP),
    ("paused", "paused", Rank.STEP),
    ("resumed", "running", Rank.STEP),
    ("retrying", "retrying", Rank.STEP),
    ("completed", "completed", Rank.STEP),
    ("continued_as_new", "continued_as_new", Rank.STEP),
    ("timed_out", "timed_out", Rank.STEP),
    ("cancelled", "cancelled", Rank.STEP),
    ("failed", "failed", Rank.STEP),
    ("terminated", "terminated", Rank.STEP),
    ("cancel_requested", None, Rank.STEP),
    ("deleted", None, Rank.STEP),
    ("restored", None, Rank.STEP),
]


def test_every_verb_has_a_rule() -> None:
    """Every verb has a rule with a meaning, and no rule is of no verb."""
    assert set(VERBS) == set(Verb)
    assert all(rule.meaning for rule in VERBS.values())


def test_verbs_claim_what_the_contract_says() -> None:
    """Verbs sorted by code are in the contract's order, each with its status and its weight."""
    ordered = sorted(VERBS.items(), key=lambda item: item[1].code)
    assert [(str(verb), rule.status, rule.rank) for verb, rule in ordered] == CONTRACT


def test_codes_are_unique_and_fit_a_byte() -> None:
    """No two verbs share a code, and each code is one byte of an order."""
    codes = [rule.code for rule in VERBS.values()]
    assert len(set(codes)) == len(codes)
    assert all(0 < code < 255 for code in codes)


def test_every_status_is_claimed_by_a_verb() -> None:
    """Each status is what some verb claims, and six of them are terminal."""
    assert {rule.status for rule in VERBS.values()} - {None} == set(Status)
    assert {str(status) for status in Status if status.terminal} == {
        "completed",
        "failed",
        "cancelled",
        "terminated",
        "timed_out",
        "continued_as_new",
    }
    assert {status for status in Status if status.terminal} == TERMINAL_STATUSES


def test_terminal_verbs_are_named_like_their_status() -> None:
    """A verb is terminal if and only if its status is, and then both share one name."""
    for verb, rule in VERBS.items():
        assert rule.terminal == (rule.status in TERMINAL_STATUSES)
        assert not rule.terminal or verb.value == rule.status


def test_authorities_are_ordered() -> None:
    """From the weakest word to the strongest: inferred, worker, server, operator."""
    assert sorted(Authority, key=lambda a: a.level) == ["inferred", "worker", "server", "operator"]
    assert sorted(AUTHORITY_LEVELS.values()) == [1, 2, 3, 4]
