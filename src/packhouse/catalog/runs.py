"""What is asked of the runs of something that runs again and again: a mirror, a feed."""

from __future__ import annotations

import msgspec

#: the states of what waits for a run, or is in one
LIVE = ("pending", "running")


class Requests(msgspec.Struct):
    """Who asked for the next run, and for one after that; people's names, empty for a schedule."""

    asks: str = ""  #: "shrink" when a run stopped and waits for an administrator's yes
    accept_shrink: bool = False  #: that yes, for the next run
    requested_by: str = ""  #: who asked for the next run
    asked_by: str = ""  #: who asked for another run while this one was under way
    asked_to_shrink: bool = False  #: and the yes for that one

    def ask(self, state: str, by: str, accept_shrink: bool) -> None:
        """Note a wish for a run of what is in this state: for the next run, or for another if one is under way."""
        if state == "running":
            if by:
                self.asked_by, self.asked_to_shrink = by, accept_shrink
        elif by:
            self.requested_by, self.accept_shrink = by, accept_shrink
        elif state != "pending":  # a yes is for the run it was given to, not for a later one by schedule
            self.accept_shrink = False

    def begin_after(self, before: Requests) -> None:
        """Let a run that begins be the one that was asked for."""
        self.accept_shrink = before.accept_shrink or before.asked_to_shrink
        self.requested_by = before.asked_by or before.requested_by

    def hear(self, now: Requests) -> None:
        """Take over what was asked while the run was under way."""
        self.asked_by, self.asked_to_shrink = now.asked_by, now.asked_to_shrink

    def answered(self) -> None:
        """Forget the wish for the run that ends."""
        self.accept_shrink, self.requested_by = False, ""

    def withdraw(self) -> None:
        """Forget every wish, as the run is stopped."""
        self.requested_by = self.asked_by = ""
        self.accept_shrink = self.asked_to_shrink = False

    def state_after(self, state: str) -> str:
        """Return the state after a run that ended so: another one waits if it was asked for."""
        return "pending" if self.asked_by else state
