"""Which instance a key belongs to."""

from __future__ import annotations

from clerk_jobs.call import Call, Safety
from clerk_runner.credentials import Credentials
from clerk_runner.errors import UsageError
from clerk_runner.exchange import Exchange
from clerk_runner.refusals import fatal_error

__all__ = ["NAMED_BY_KEY", "identify"]

NAMED_BY_KEY = "key-"
"""How the name of an instance begins whose id may not be read."""


async def identify(exchange: Exchange, credentials: Credentials) -> str:
    """The instance's id; where the key may not read it, a name made from the key.

    Runs, locks and budgets belong to the instance, because one instance can hold several keys.

    Raises:
        AccessError: Clerk refuses the key.
        UsageError: Clerk does not know the API version, or whoever answers is not Clerk.
        StoppedError: the server redirects elsewhere, or Clerk does not answer.
    """
    reply = await exchange.read(Call("GetInstance", "GET", "/instance", "/instance", Safety.READ), judge=False)
    if reply.code == "api_version_invalid":
        raise UsageError(
            f"Clerk does not know API version {exchange.client.api_version}",
            code="api_version_invalid",
            hint="set api_version in the job file to a version that clerk-batch api versions lists",
        )
    if (reply.status == 401 or reply.status < 400) and (error := fatal_error(reply)) is not None:
        raise error
    if not reply.ok:
        return f"{NAMED_BY_KEY}{credentials.key.fingerprint}"
    if not isinstance(reply.value, dict) or not isinstance(reply.value.get("id"), str):
        raise UsageError(
            f"{credentials.host} does not answer as Clerk does: GET /instance returned no id",
            code="not_clerk",
            hint="check CLERK_API_URL",
        )
    return str(reply.value["id"])
