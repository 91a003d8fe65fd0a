"""What the data plane answered a moment ago, for whoever asks exactly the same again: most of what clients ask.

Such a question is answered without a look at credential, channel, right and entry: nothing they depend on has changed
since they were looked at. The epoch of the list of changes is part of each question, so an answer is not found any
more as soon as anything changed, whatever it was; all are dropped when the list was not read for too long, and before
a credential expires.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from packhouse.catalog.changes import ChangeFeed
from packhouse.catalog.packages.downloads import Download
from packhouse.core.clock import monotonic
from packhouse.doors.asgi import Scope
from packhouse.doors.credentials import HEADERS
from packhouse.doors.serve.sending import Representation
from packhouse.workflows.reporting.identification import Identification

#: answers kept; about 1 kB each, and the bytes of small files
CAPACITY = 20_000
QUESTION_BYTES = 4096
SMALL_BYTES, MOST_BYTES = 64 * 1024, 64 * 2**20

#: `Answer.until` of what the next one who asks may not be given
ONCE = -math.inf

#: headers besides those of the credential by which an answer is chosen
_CHOOSING = HEADERS | {b"accept"}
_IDENTIFYING = _CHOOSING | {b"user-agent"}

#: epoch, path as it was sent (a token may be in it), headers that may hold a credential or choose the form
Question = tuple[Any, ...]


class Answer(NamedTuple):
    """What GET and HEAD are answered with; how much of it is sent depends on the request's conditions."""

    what: Representation
    until: float = math.inf  #: when (monotonic) its file has to be asked for again
    download: Download | None = None  #: what is counted when the first byte goes out, and for whom


class Redirect(NamedTuple):
    """Where what was asked for lies instead; relative to the address, so a token in its path stays there."""

    location: str


class Answers:
    """Remembers answers for about a second, and so what is no longer kept elsewhere no longer than that."""

    def __init__(self, feed: ChangeFeed, identification: Identification) -> None:
        self._feed, self._identification = feed, identification
        self._known: dict[Question, Answer] = {}
        self._held: list[Representation] = []  # whose bytes stay in memory
        self._bytes = 0
        self._end = -math.inf  # when all that is known is dropped

    def question(self, scope: Scope) -> Question:
        """Return all that the answer to a GET or HEAD depends on, besides its conditions and the time."""
        choosing = _IDENTIFYING if self._identification.may_matter else _CHOOSING
        shown = [(name, value) for name, value in scope["headers"] if name.lower() in choosing]
        return (self._feed.epoch, scope.get("raw_path") or scope["path"], *shown)

    def find(self, question: Question) -> Answer | None:
        """Return the answer to a question if it is known and may still be given."""
        now = monotonic()
        if now >= self._end:
            self._forget()
            self._end = self._feed.trusted_until
        return self._known.get(question)

    def keep(self, question: Question, answer: Answer, until: float) -> None:
        """Remember an answer to who has proven until then (monotonic) who they are."""
        if min(answer.until, until) <= self._end or _length(question) > QUESTION_BYTES:
            return
        if len(self._known) >= CAPACITY:
            self._forget()
        self._known[question] = answer
        what = answer.what
        if what.remembered or what.path is None or what.size > SMALL_BYTES:
            return
        if self._bytes + what.size <= MOST_BYTES:
            self._bytes += what.size
            self._held.append(what)
            what.remembered = True

    def _forget(self) -> None:
        self._known.clear()
        for what in self._held:
            what.remembered, what.body = False, None
        self._held, self._bytes = [], 0


def _length(question: Question) -> int:
    """Return the length of a question's path and headers; whoever asks can make them as long as the server takes."""
    _, path, *shown = question
    return len(path) + sum(len(value) for _, value in shown)
