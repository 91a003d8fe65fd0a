"""The noun: what a mirror is, how its source is reached, and how its last run went."""

from __future__ import annotations

import msgspec

from packhouse.catalog.mirrors.filters import Filters
from packhouse.catalog.runs import Requests

#: `deleting` and `deleted` are never shown: such a mirror is gone for users, its rows are being cleared
STATES = ("pending", "running", "completed", "failed", "stopped", "deleting", "deleted")
SHOWN_STATES = STATES[:5]
MODES = ("active", "passive")
#: what the command lines can ask for, and the family of packages each brings; a family that no format answers for is
#: refused as `unsupported_type`
FAMILIES = {"conda": "conda", "python_simple": "python", "CRAN": "cran"}
TYPES = tuple(FAMILIES)


class Options(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How the source is reached, what is added to the selection, and whose policy decides what is fetched.

    Paths are files the server can read.
    """

    proxy: str | None = None  #: without its login, which lies in the credential
    ca_bundle: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    verify_tls: bool = True
    include_dependencies: bool = False  #: with only_specs: also what the selected files need, and so on
    use_channel_policy: bool = True  #: an active mirror downloads nothing that the channel's policy hides
    policy_id: str | None = None  #: without that: the policy whose rules select what is taken in, as filters do
    trusted: bool = False  #: an administrator named the source, so it may be private; set by the server alone


class Credential(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What opens the source. Never shown, never logged."""

    username: str = ""
    password: str = ""
    token: str = ""  #: sent as `Authorization: Bearer`
    headers: dict[str, str] = {}  #: further secret headers, for example `X-Auth`
    source: str = ""  #: the source's address as given, when it carries a secret
    proxy: str = ""  #: the proxy's address as given, when it carries a login

    def __repr__(self) -> str:
        return "Credential(…)"


class Spec(msgspec.Struct, frozen=True):
    """What a user asks a mirror to be. `credential` None: none, or with an update: the one that is kept."""

    name: str
    source: str
    mode: str = "passive"
    type: str = "conda"
    cron: str = ""
    filters: Filters = Filters()
    options: Options = Options()
    credential: Credential | None = None


class Filtered(msgspec.Struct):
    """How many files the filters kept out, by the first rule that did.

    Known command lines print each of these by its name, so also those that nothing counts yet must be there.
    """

    cve: int = 0
    date: int = 0
    license: int = 0
    only_specs: int = 0
    exclude_specs: int = 0
    duplicated_legacy_conda: int = 0
    only_signed: int = 0
    policy: int = 0  #: other rules of the mirror's own policy


class ChannelFiltered(msgspec.Struct):
    """How many files the channel's own filters kept out: none yet, but known command lines print the numbers."""

    license: int = 0
    exclude_specs: int = 0


class Counts(msgspec.Struct):
    """What a run found and did. The first six are those that known command lines print."""

    active: int = 0  #: files of this mirror whose bytes we hold
    failed: int = 0  #: records no index can carry, and downloads that failed
    passive: int = 0  #: files of this mirror that are fetched on demand
    removed: int = 0
    mirror_filtered: Filtered = msgspec.field(default_factory=Filtered)
    channel_filtered: ChannelFiltered = msgspec.field(default_factory=ChannelFiltered)
    added: int = 0
    updated: int = 0
    downloaded: int = 0
    conflicts: int = 0  #: coordinates with other bytes upstream than here
    held: int = 0  #: coordinates that belong to an upload or to another mirror
    kept_out: int = 0  #: coordinates that a person deleted or moved away
    unsupported: int = 0  #: records of a later revision of the format
    dependencies: int = 0  #: files selected only because others need them
    deferred: int = 0  #: removals and replacements that wait until the channel is unfrozen
    held_back: int = 0  #: files of an active mirror that are not downloaded, as the channel's policy hides them


#: failures shown of one mirror
MOST_FAILURES = 100


class Failure(msgspec.Struct):
    """One file that could not be taken, and why."""

    ckey: str
    reason: str

    def __post_init__(self) -> None:
        self.ckey, self.reason = self.ckey[:300], self.reason[:500]


class Progress(Requests, omit_defaults=False):
    """What is shown as a mirror's `sync_state`, and what the next run must know."""

    last_ckey: str = ""
    last_exception: str = ""
    total_steps_count: int = 4
    current_step_number: int = 0
    current_step_percentage: int = 0
    current_step_description: str = ""
    count: Counts = msgspec.field(default_factory=Counts)
    failures: list[Failure] = []  #: the first hundred of a run, and of files asked for since
    event_id: int = 0  #: the mirroring_started event of the run
    looked_around_at: int = 0  #: microseconds: when the source was last searched for further subdirs
    full_run: bool = False  #: a run that was to look at every file has not come to its end yet
    meets_others: bool = True  #: uploads or other mirrors hold, as far as it knows, coordinates of its upstream
    takes_nothing: bool = False  #: the upstream had no file that passes the filters
    purge: bool = False  #: while deleting: remove the files we hold, too


class Mirror(msgspec.Struct, frozen=True):
    """One row of `mirror`. Times are microseconds."""

    id: int
    uuid: str
    channel_id: int
    name: str
    type: str
    mode: str
    source: str  #: without secrets
    cron: str
    filters: Filters
    options: Options
    credential: str  #: sealed (see `credentials`); empty: none
    state: str
    progress: Progress
    needs_full_run: bool
    last_run_at: int | None
    next_run_at: int | None
    created_at: int
    updated_at: int
    deleted_at: int | None

    @property
    def active(self) -> bool:
        """Whether a run downloads every selected file."""
        return self.mode == "active"

    @property
    def family(self) -> str:
        """The family of the packages it brings."""
        return FAMILIES[self.type]


def unborn(channel_id: int) -> Mirror:
    """Return a mirror that no row stands for: none has the id 0."""
    spec = Spec("", "")
    return Mirror(
        id=0,
        uuid="",
        channel_id=channel_id,
        name="",
        type=spec.type,
        mode=spec.mode,
        source="",
        cron="",
        filters=spec.filters,
        options=spec.options,
        credential="",
        state="stopped",
        progress=Progress(),
        needs_full_run=True,
        last_run_at=None,
        next_run_at=None,
        created_at=0,
        updated_at=0,
        deleted_at=None,
    )
