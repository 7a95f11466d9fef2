"""Which proxy an address goes through."""

from __future__ import annotations

import pytest

from clerk_runner.errors import UsageError
from clerk_runner.proxies import proxy_for

CLERK = "https://api.clerk.com"
PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": PROXY}, PROXY),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other.example"}, PROXY),
        ({"ALL_PROXY": PROXY}, PROXY),
        ({"HTTPS_PROXY": PROXY, "ALL_PROXY": "http://other.example"}, PROXY),
        ({"HTTPS_PROXY": "proxy.example:3128"}, PROXY),
        ({"HTTPS_PROXY": ""}, None),
        ({"https_proxy": "", "HTTPS_PROXY": PROXY}, None),
        ({"HTTP_PROXY": PROXY}, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "api.clerk.com"}, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "localhost, .clerk.com"}, None),
        ({"HTTPS_PROXY": PROXY, "no_proxy": "CLERK.com"}, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "*.clerk.com"}, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "api.clerk.com:443"}, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "api.clerk.com:8443"}, PROXY),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "lerk.com,clerk.com.example,,"}, PROXY),
    ],
)
def test_the_usual_variables(variables: dict[str, str], expected: str | None) -> None:
    found = proxy_for(CLERK, variables)
    assert (None if found is None else str(found).rstrip("/")) == expected


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8000", "http://localhost:1", "http://[::1]:9", "https://127.0.0.9"]
)
def test_this_machine_is_never_behind_a_proxy(address: str) -> None:
    assert proxy_for(address, {"HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY, "ALL_PROXY": PROXY}) is None


def test_a_request_cannot_choose_the_proxy_of_a_cgi_script() -> None:
    assert proxy_for("http://clerk.example", {"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}) is None
    assert proxy_for("http://clerk.example", {"HTTP_PROXY": PROXY}) is not None
    assert proxy_for("http://clerk.example", {"http_proxy": PROXY, "REQUEST_METHOD": "GET"}) is not None


@pytest.mark.parametrize(
    "text", ["socks5://u:secret@p:1", "https://u:secret@p", "http://", "http://p:secret", "secret://"]
)
def test_what_is_no_proxy_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        proxy_for(CLERK, {"HTTPS_PROXY": text})
    assert caught.value.code == "proxy_malformed"
    assert "secret" not in caught.value.message + caught.value.hint
