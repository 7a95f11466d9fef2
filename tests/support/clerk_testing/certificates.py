"""Certificates for 127.0.0.1 that last as long as a test: good, expired, and of an authority that nobody knows."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

__all__ = ["Authority"]


class Authority:
    """An authority that a command believes when ``variables`` are in its environment."""

    def __init__(self, folder: Path) -> None:
        """Make it, and a file by which others know it."""
        self._authority = trustme.CA()
        path = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(path)
        self.variables = {"SSL_CERT_FILE": str(path), "SSL_CERT_DIR": str(folder / "none")}

    def server(self, name: str = "127.0.0.1", *, expired: bool = False) -> ssl.SSLContext:
        """What a server of that name speaks TLS with."""
        ended = datetime.now(tz=UTC) - timedelta(days=1) if expired else None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(name, not_after=ended).configure_cert(context)
        return context
