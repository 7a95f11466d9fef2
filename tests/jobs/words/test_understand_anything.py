"""Whatever is said, something sensible comes back: no error, and no deletion of what was not named."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from clerk_jobs.catalog import load
from clerk_jobs.words import Question, Understood, understand
from clerk_jobs.words.lexicon import NOUNS, PREPOSITIONS, VERBS

CATALOG = load()
VALUES = (
    "user_1", "org_1", "inv_2", "sess_3", "a@b.co", "+15551234567", "acme.com", '"Acme Corp"', "org:admin", "7 days",
    "2026-01-01", "https://x.io/a", '{"plan": "pro"}', "plan=pro", "yesterday", "50", "pro", "xyzzy", "admin",
)  # fmt: skip
PIECES = st.sampled_from([*VERBS, *NOUNS, *PREPOSITIONS, *VALUES, ",", "and", "then", "the", "all", "not"])


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=12).map(" ".join))
def test_sentences_of_known_words(text: str) -> None:
    result = understand(text, CATALOG, 1_790_000_000_000)
    parts = [result] if isinstance(result, Understood) else result.choices if isinstance(result, Question) else ()
    for part in parts:
        assert part.calls
        for call in part.calls:
            for name, value in call.path.items():
                assert value
                assert "user_1" not in value or name in ("user_id", "organization_id") or re.search("id|slug|key", name)
            for name, _ in call.query:
                assert call.operation.parameter(name) is not None, (text, call)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_any_text_at_all(text: str) -> None:
    understand(text, CATALOG, 1_790_000_000_000)
