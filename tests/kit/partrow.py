"""A visible entry, as parts are rendered from it, without a catalogue."""

from __future__ import annotations

from typing import NamedTuple


class PartRow(NamedTuple):
    """What `formats.base.PartRow` asks for."""

    filename: str
    json: bytes
    packed: bytes
    signatures: str | None
    visible_at: int
