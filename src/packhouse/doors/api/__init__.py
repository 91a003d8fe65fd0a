"""The management REST API below `/api/`, one file per noun; old wire shapes are aliases here."""

from __future__ import annotations

from packhouse.doors.api.application import Api, create_api, management_words, reserved_names
from packhouse.doors.api.document import document

__all__ = ["Api", "create_api", "document", "management_words", "reserved_names"]
