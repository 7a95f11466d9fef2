"""What stands before every write: scopes, then consent; each missing one is exit 3."""

from __future__ import annotations

import pytest

from clerk_runner.credentials import Credentials, SecretKey
from clerk_runner.errors import AccessError, Exit
from clerk_runner.safety import SCOPE_QUESTION, Consent, require_consent, require_scopes, scope_line


def credentials(*scopes: str) -> Credentials:
    return Credentials(SecretKey("sk_test_abc"), "http://127.0.0.1:9", frozenset(scopes), "the test")


class Terminal:
    """Somebody who gives one answer to every question."""

    def __init__(self, answer: bool) -> None:
        self.asked: list[str] = []
        self._answer = answer

    def __call__(self, question: str) -> bool:
        self.asked.append(question)
        return self._answer


def test_a_scope_is_an_exact_word() -> None:
    assert require_scopes(credentials("write", "delete"), ("write", "delete"), Consent()) is False
    with pytest.raises(AccessError) as caught:
        require_scopes(credentials("writer", "delete"), ("write", "delete"), Consent(yes=True))
    assert (caught.value.exit, caught.value.code) == (Exit.ACCESS, "scope_missing")
    assert caught.value.message == f"{SCOPE_QUESTION} CLERK_BAPI_SCOPES lacks 'write'"
    assert "export CLERK_BAPI_SCOPES=delete,write,writer" in caught.value.hint


def test_admin_asks_no_scopes() -> None:
    assert require_scopes(credentials(), ("write", "delete"), Consent(admin=True)) is True


def test_yes_is_no_scope() -> None:
    with pytest.raises(AccessError):
        require_scopes(credentials(), ("write",), Consent(yes=True))


def test_the_bypass_is_offered_on_a_terminal() -> None:
    agrees, declines = Terminal(True), Terminal(False)
    assert require_scopes(credentials(), ("write",), Consent(ask=agrees)) is True
    assert agrees.asked == [f"{SCOPE_QUESTION} (missing: write)"]
    with pytest.raises(AccessError):
        require_scopes(credentials(), ("write",), Consent(ask=declines))


def test_nothing_missing_asks_nothing() -> None:
    terminal = Terminal(False)
    require_scopes(credentials("write"), ("write",), Consent(ask=terminal))
    assert terminal.asked == []


def test_consent_is_given_by_an_option_or_on_a_terminal() -> None:
    terminal = Terminal(True)
    require_consent("Send?", Consent(yes=True))
    require_consent("Send?", Consent(ask=terminal))
    assert terminal.asked == ["Send?"]


@pytest.mark.parametrize(("ask", "code"), [(None, "confirmation_missing"), (Terminal(False), "declined")])
def test_without_consent_nothing_is_sent(ask: Terminal | None, code: str) -> None:
    with pytest.raises(AccessError, match="nothing was sent") as caught:
        require_consent("Send?", Consent(ask=ask, admin=True))
    assert (caught.value.exit, caught.value.code) == (Exit.ACCESS, code)


def test_the_scopes_in_force_are_told() -> None:
    assert scope_line(credentials("write", "delete"), bypassed=False) == "delete, write"
    assert scope_line(credentials(), bypassed=False) == "none"
    assert scope_line(credentials("write"), bypassed=True) == "bypassed by --admin"
