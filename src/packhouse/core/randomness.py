"""Unpredictable values; beside the clock the only thing that makes two runs differ, hence in one place."""

from __future__ import annotations

import secrets
import uuid

#: the operating system's random bytes, and the same as twice as many hex digits
random_bytes = secrets.token_bytes
random_hex = secrets.token_hex
random_text = secrets.token_urlsafe


def new_uuid() -> str:
    """Return a random UUID in its usual text form."""
    return str(uuid.uuid4())
