"""The gate: may this caller have this file now? Answered from memory while that is fresh, else from the database.

Everything a package request needs (channel, right, entry) is remembered per process and dropped by the change list,
so that a hot request asks nothing of the database and a hidden or removed file is refused within two seconds.
"""

from __future__ import annotations

from packhouse.catalog.changes import Change, ChangeFeed
from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages import entries
from packhouse.catalog.packages.entries import Entry
from packhouse.catalog.rights.permissions import Action, Decision, permit, refusal
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.rights.visibility import target_at, target_of
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError
from packhouse.workflows.answering.refusing import refusal_of

#: entries remembered per process; about 1 kB each
CAPACITY = 200_000
#: refusals remembered, each with the decision in its body
REFUSALS = 1000


class Gate:
    """Answers for one process. Every `permit` of the data plane goes through here."""

    def __init__(self, db: Database, feed: ChangeFeed) -> None:
        self._db, self._feed = db, feed
        self._channels: dict[str, Channel] = {}
        self._rights: dict[tuple[Principal, int, str], Decision] = {}
        self._entries: dict[int, dict[tuple[str, str, str], Entry]] = {}  # by channel: a change drops those of one
        self._count = 0
        self._refusals: dict[tuple[int, int], PackhouseError] = {}  # by channel and entry
        self._epoch = 0
        feed.listen(self._changed, self._reset)

    def _changed(self, change: Change) -> None:
        if change.kind in ("channel", "account", "token", "login", "people"):
            self._epoch += 1
            self._channels.clear()
            self._rights.clear()
        if change.kind in ("channel", "entry"):
            self._epoch += 1
            self._count -= len(self._entries.pop(change.channel_id or 0, ()))
            for key in [key for key in self._refusals if key[0] == change.channel_id]:
                del self._refusals[key]

    def _reset(self) -> None:
        self._epoch += 1
        self._channels.clear()
        self._rights.clear()
        self._forget_entries()

    def _forget_entries(self) -> None:
        self._entries.clear()
        self._refusals.clear()
        self._count = 0

    async def channel(self, principal: Principal, action: Action, path: str) -> Channel:
        """Return the channel at `path` if the caller may do `action` there.

        Raises the refusal of the data plane: 401 for anonymous callers whether the channel exists or not, 404 for
        known ones who may not know of it.
        """
        epoch = self._epoch  # what was read before a change must not be remembered after it
        remembered = self._channels.get(path) if self._feed.fresh else None
        found = remembered
        if found is None:
            found = await channels.by_path(self._db, path)
            if found is None:
                nowhere = await target_at(self._db, principal, None)
                raise refusal(permit(principal, action, nowhere), principal, action, data_plane=True)
            if epoch == self._epoch:
                self._channels[path] = found
        decision = await self._decision(principal, action, found, epoch)
        if decision is Decision.INVISIBLE and remembered is not None:
            await channels.by_path(self._db, path)  # as one that is not there is asked for, so that no clock tells
        if decision is not Decision.ALLOWED:
            raise refusal(decision, principal, action, data_plane=True)
        return found

    async def _decision(self, principal: Principal, action: Action, channel: Channel, epoch: int) -> Decision:
        key = (principal, channel.id, action)  # with all it holds: who was looked up before a change comes in after it
        known = self._rights.get(key) if self._feed.fresh else None
        if known is not None:
            return known
        decision = permit(principal, action, await target_of(self._db, principal, channel))
        if epoch == self._epoch and decision is not Decision.INVISIBLE:  # what is not there is asked for each time, too
            if len(self._rights) > CAPACITY:
                self._rights.clear()
            self._rights[key] = decision
        return decision

    async def entry(self, channel: Channel, family: str, partition: str, filename: str) -> Entry:
        """Return the entry of a file that may be sent. Raises PackhouseError: `not_found`, `hidden`."""
        key = (family, partition, filename)
        found = self._entries.get(channel.id, {}).get(key) if self._feed.fresh else None
        if found is None:
            epoch = self._epoch
            found = await entries.find(self._db, channel.id, family, partition, filename)
            if found is None:
                raise PackhouseError("not_found", f"{channel.path} has no file {partition}/{filename[:200]}.")
            if epoch == self._epoch and found.active:
                if self._count >= CAPACITY:  # so seldom that keeping the order of use would cost more
                    self._forget_entries()
                here = self._entries.setdefault(channel.id, {})
                self._count += key not in here
                here[key] = found
        if found.rule is not None:
            raise (await self._refusal(channel, found)).with_traceback(None)  # it may be raised many times
        return found

    async def _refusal(self, channel: Channel, entry: Entry) -> PackhouseError:
        """Return the refusal of a hidden file, which is asked for again as long as the client has it in a lock file."""
        key = (channel.id, entry.id)
        known = self._refusals.get(key) if self._feed.fresh else None
        if known is not None:
            return known
        epoch = self._epoch
        found = await refusal_of(self._db, channel, entry, await self._db.now())
        if epoch == self._epoch:
            if len(self._refusals) >= REFUSALS:
                self._refusals.clear()
            self._refusals[key] = found
        return found
