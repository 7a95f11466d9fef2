"""Who is calling, and for which version of the API."""

from collections.abc import Mapping

from .call import Query
from .errors import RefusalError, refusal

VERSIONS = ("2021-02-05", "2024-10-01", "2025-03-12", "2025-04-10", "2025-11-10", "2026-05-12")
# Clerk does not say which version it plays when none is named; the newest is what this server plays.
_DEFAULT_VERSION = VERSIONS[-1]
_VERSION_PARAMETER = "__clerk_api_version"


class Admission:
    """Checks keys and versions.

    Args:
        keys: the keys of the instance; the report calls their clients "key 1", "key 2", ….
    """

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._names = {key: f"key {place}" for place, key in enumerate(keys, 1)}

    def client(self, headers: Mapping[str, str]) -> str:
        """What the report calls a caller: its X-Simulator-Client header, else its key, else "unknown"."""
        named = headers.get("X-Simulator-Client")
        return named or self._names.get(_token(headers), "unknown")

    def check_key(self, headers: Mapping[str, str]) -> None:
        """Refuse a caller without a key of this instance.

        Raises:
            RefusalError: 401.
        """
        authorization = headers.get("Authorization")
        if not authorization or not authorization.startswith("Bearer "):
            raise refusal(
                401,
                "authorization_header_format_invalid",
                "no secret key",
                "the Authorization header must be 'Bearer ' and a secret key",
            )
        if _token(headers) not in self._names:
            raise refusal(
                401,
                "clerk_key_invalid",
                "invalid secret key",
                "the secret key opens no instance of this server",
            )

    def version(self, headers: Mapping[str, str], query_text: str) -> str:
        """The API version that is asked for, in the header or in the query.

        Raises:
            RefusalError: 400 where it is unknown, or named in both places.
        """
        header = headers.get("Clerk-API-Version")
        parameter = Query(query_text).first(_VERSION_PARAMETER) if _VERSION_PARAMETER in query_text else None
        if header is not None and parameter is not None:
            raise _version_invalid("the version is named both in the header and in the query")
        version = header if header is not None else parameter
        if version is None:
            return _DEFAULT_VERSION
        if version not in VERSIONS:
            raise _version_invalid(f"there are the versions {', '.join(VERSIONS)}")
        return version

    def version_to_play(self, headers: Mapping[str, str], query_text: str) -> str:
        """The version that is asked for, and the usual one where what is asked for is refused later."""
        try:
            return self.version(headers, query_text)
        except RefusalError:
            return _DEFAULT_VERSION


def _token(headers: Mapping[str, str]) -> str:
    return headers.get("Authorization", "").removeprefix("Bearer ").strip()


def _version_invalid(why: str) -> RefusalError:
    return refusal(400, "api_version_invalid", "invalid API version", why)
