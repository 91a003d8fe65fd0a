"""The only place that dials out for users: mirror sources, feeds, and every URL inside their indexes.

Private addresses are refused unless an administrator named exactly that `host:port`; every downloaded byte is
verified; secrets never reach a message.
"""

from __future__ import annotations

from packhouse.core.fetch.fetcher import Fetcher
from packhouse.core.fetch.guard import Refused
from packhouse.core.fetch.masking import mask_url
from packhouse.core.fetch.model import Expected, FetchSettings, Response, Sink

__all__ = [
    "Expected",
    "FetchSettings",
    "Fetcher",
    "Refused",
    "Response",
    "Sink",
    "mask_url",
]
