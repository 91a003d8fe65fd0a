"""What administrators do with the keys whose signatures count: trust one, or no more. Each is one unit of work.

Files signed by it are judged again, and mirrors that take only signed files look at all of them in their next run.
Nobody takes in records meanwhile: every channel is held, so that no unit under way judges by keys that are others by
the time it ends.
"""

from __future__ import annotations

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels.store import hold_all
from packhouse.catalog.logins.standing import require_standing
from packhouse.catalog.mirrors import store as mirrors
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.signing import signatures
from packhouse.catalog.signing import trusted_keys as store
from packhouse.catalog.signing.trusted_keys import TrustedKey
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.security.signing.keys import read_key
from packhouse.workflows.services import Services

NAME_LENGTH = 100


async def trust_key(services: Services, caller: Principal, name: str, key: str) -> TrustedKey:
    """Let signatures by a public key (64 hexadecimal digits) count. `name` says whose it is.

    Raises PackhouseError: `bad_request`, `conflict` when the key is trusted already or the name is taken.
    """
    raw, name = read_key(key), name.strip()
    if not name or len(name) > NAME_LENGTH or not name.isprintable():
        raise PackhouseError(
            "bad_request", f"`name` needs 1 to {NAME_LENGTH} printable characters.", "Say whose key it is."
        )

    async def work(unit: Unit) -> TrustedKey:
        await require_standing(unit, caller)
        await hold_all(unit)
        for known in await store.like(unit, raw, name):
            what = f"This key is trusted already, as {known.name!r}" if known.key == raw else f"{name!r} is another key"
            raise PackhouseError("conflict", f"{what}.", "List the trusted keys to see what there is.")
        made = TrustedKey(raw, name, caller.username, unit.now)
        await store.add(unit, made)
        await _tell(unit, "trusted_key_added", caller.username, name, raw)
        return made

    return await services.db.write(work)


async def distrust_key(services: Services, caller: Principal, key: str) -> None:
    """Let signatures by a key count no more. Raises PackhouseError: `bad_request`, `not_found`."""
    raw = read_key(key)

    async def work(unit: Unit) -> None:
        await require_standing(unit, caller)
        await hold_all(unit)
        name = await store.drop(unit, raw)
        if name is None:
            raise PackhouseError("not_found", "This key is not trusted.", "List the trusted keys to see what there is.")
        await _tell(unit, "trusted_key_removed", caller.username, name, raw)

    await services.db.write(work)


async def _tell(unit: Unit, kind: str, actor: str, name: str, key: bytes) -> None:
    await signatures.leave_unjudged(unit, key)
    await mirrors.ask_full_run_of_signed(unit)
    await record_event(unit, type=kind, actor=actor, object=name, data={"key": key.hex()})
