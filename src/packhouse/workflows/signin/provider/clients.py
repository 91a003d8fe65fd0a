"""The command lines that may ask for a key. None of them can keep a secret, so that none has one (RFC 6749 2.1)."""

from __future__ import annotations

#: client id → what a person is shown
DEVICE_CLIENTS: dict[str, str] = {"b4ad7f1d-c784-46b5-a9fe-106e50441f5a": "the anaconda command line"}
