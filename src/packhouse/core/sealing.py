"""Sealing: what must be read back and be useless to who only has the database, such as the seeds of second factors.

The key is the setting `secret_key`, or lies in the data folder, where the first start makes it. It is never in the
database, so that a dump of that opens nothing.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from packhouse.core.blobs.flushing import flush_folder
from packhouse.core.errors import PackhouseError
from packhouse.core.randomness import random_bytes, random_hex
from packhouse.core.settings import HEX_KEY, Settings

KEY_FILE = "secret.key"
_FORM = b"\x01"  #: of what follows: 12 bytes of nonce, then AES-256-GCM's text and tag
_NONCE = 12


def is_sealed(data: bytes) -> bool:
    """Say whether `data` has the form of what `Sealer.seal` returns; no text that people write has."""
    return data[:1] == _FORM


class Sealer:
    """Seals and opens bytes under the key of this installation, which is read when it is needed first."""

    def __init__(self, settings: Settings) -> None:
        self._given = settings.secret_key
        self.file = settings.data_dir / KEY_FILE  #: where the key lies when no setting says it
        #: where the key comes from, for a message
        self.origin = settings.origin("secret_key") if self._given else str(self.file)

    def __repr__(self) -> str:
        return "Sealer(…)"

    def seal(self, data: bytes, about: str) -> bytes:
        """Return `data` so that only `open` with the same `about` (whose it is, and what for) gives it back.

        Raises PackhouseError: `internal` when there is no key, `conflict` when its file holds something else.
        """
        nonce = random_bytes(_NONCE)
        return _FORM + nonce + self._cipher.encrypt(nonce, data, about.encode())

    def open(self, sealed: bytes, about: str) -> bytes:
        """Return what was sealed. Raises PackhouseError("internal") when it was altered or sealed otherwise."""
        nonce, text = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        try:
            if sealed[:1] != _FORM or len(nonce) != _NONCE:
                raise InvalidTag
            return self._cipher.decrypt(nonce, text, about.encode())
        except InvalidTag:
            raise PackhouseError(
                "internal",
                "What is sealed in the database does not open.",
                "Restore it from a backup, or set it anew.",
            ) from None

    @property
    def has_key(self) -> bool:
        """Whether there is a key, or a file that should have it."""
        return bool(self._given) or self.file.exists()

    @property
    def fingerprint(self) -> bytes:
        """What tells this key from others and nothing about it; raises as `seal`."""
        return hashlib.sha256(b"packhouse sealing key\0" + self._key).digest()

    def make_key(self) -> None:
        """Make the file with the key unless there is a key; of several processes one makes it. Raises OSError."""
        if self.has_key:
            return
        draft = self.file.with_name(f"{KEY_FILE}.{random_hex(8)}")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(random_bytes(32).hex() + "\n")
                stream.flush()
                os.fsync(stream.fileno())
            try:
                self.file.hardlink_to(draft)
            except FileExistsError:
                return  # another process was faster
            except OSError:  # a file system without links
                draft.rename(self.file)
        finally:
            draft.unlink(missing_ok=True)
        flush_folder(self.file.parent)

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(self._key)

    @cached_property
    def _key(self) -> bytes:
        text = self._given or _read(self.file)
        if not HEX_KEY.fullmatch(text):
            raise PackhouseError(
                "conflict", f"{self.file} holds no key of 64 hexadecimal digits.", "Restore it from a backup."
            )
        return bytes.fromhex(text)


def _read(file: Path) -> str:
    """Return what the file says, after taking everybody else's rights off it."""
    try:
        if file.stat().st_mode & 0o077:
            with suppress(OSError):  # somebody else's file, or a disk without rights
                file.chmod(0o600)
        return file.read_text(errors="replace").strip()
    except OSError as error:
        raise PackhouseError(
            "internal", f"The key in {file} cannot be read: {error.strerror}.", "Restore it from a backup."
        ) from None
