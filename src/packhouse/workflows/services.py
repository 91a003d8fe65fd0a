"""What the workflows of one process work with, composed once by `packhouse.app`."""

from __future__ import annotations

from dataclasses import dataclass, field

from packhouse.catalog.changes import ChangeFeed
from packhouse.core.blobs import BlobStore
from packhouse.core.db import Database
from packhouse.core.sealing import Sealer
from packhouse.core.settings import Settings
from packhouse.formats.archives.sandbox import Sandbox
from packhouse.workflows.indexing.publishing import Publisher
from packhouse.workflows.indexing.reading import IndexReader
from packhouse.workflows.setbacks import Setbacks
from packhouse.workflows.signin.identity import Provider


@dataclass(frozen=True, slots=True)
class Services:
    """The ground and the shared workers of one process."""

    settings: Settings
    db: Database
    blobs: BlobStore
    sandbox: Sandbox  #: reads untrusted archives under limits
    feed: ChangeFeed
    index: IndexReader
    publisher: Publisher
    sealer: Sealer  #: for secrets that are read back
    providers: tuple[Provider, ...] = ()  #: who else vouches for people
    setbacks: Setbacks = field(default_factory=Setbacks)
    #: first segments of the server's own addresses, which no channel may bear; filled when it knows them
    reserved: set[str] = field(default_factory=set)
