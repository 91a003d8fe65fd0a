"""The management REST API below `/api/`, one file per noun; old wire shapes are aliases here."""

from __future__ import annotations

from packhouse.doors.api.application import Api, application, management_words, reserved_names
from packhouse.doors.api.document import document

__all__ = ["Api", "application", "document", "management_words", "reserved_names"]
