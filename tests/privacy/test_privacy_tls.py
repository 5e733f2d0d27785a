"""A PostgreSQL on the network is reached by TLS or the doctor says so."""

from __future__ import annotations

import pytest

from leadpipe.store.urls import is_private


@pytest.mark.parametrize(
    ("url", "is_so"),
    [
        ("postgresql://u@/leadpipe?host=/run/leadpipe", True),
        ("postgresql://u:p@localhost:5432/leadpipe", True),
        ("postgresql://u:p@127.0.0.1/leadpipe", True),
        ("postgresql://u:p@db.internal/leadpipe", False),
        ("postgresql://u:p@db.internal/leadpipe?sslmode=prefer", False),
        ("postgresql://u:p@db.internal/leadpipe?sslmode=require", True),
        ("postgresql://u:p@db.internal/leadpipe?sslmode=verify-full&sslrootcert=/ca.pem", True),
        ("postgresql://u:p@/leadpipe?host=db.internal", False),
    ],
)
def test_tls_is_demanded_wherever_somebody_could_listen(url: str, is_so: bool) -> None:
    assert is_private(url) is is_so
