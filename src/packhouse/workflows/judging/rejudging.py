"""Names of which something changed are judged again, in small units: findings, verdicts, reasons, then the index.

Who changed it left the names in `unjudged`. Before anything is read, units under way are waited for once, so that none
that began before the change adds a file by what held then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from packhouse.catalog.channels import store as channels
from packhouse.catalog.mirrors.news import look_again
from packhouse.catalog.policies import verdicts
from packhouse.catalog.vulnerabilities import aliases, findings, news, unjudged
from packhouse.catalog.vulnerabilities.unjudged import ECOSYSTEM, NAMED, UNTOLD, WHOLE, Waiting
from packhouse.core.db import Database, Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.core.log import get_logger
from packhouse.formats import registry
from packhouse.security.vulnerabilities.aliases import possible_packages
from packhouse.workflows.indexing.subtracting import show_anew
from packhouse.workflows.judging import store
from packhouse.workflows.judging.batches import batch_of, python_of
from packhouse.workflows.judging.knowing import recall
from packhouse.workflows.judging.learning import learn_anew
from packhouse.workflows.judging.reasons import judge_reasons
from packhouse.workflows.judging.suspects import suspects
from packhouse.workflows.judging.verdicts import policies, write_verdicts
from packhouse.workflows.judging.whole import judge_whole
from packhouse.workflows.services import Services

#: rows of `unjudged` looked at together
AT_A_TIME = 2000
#: files judged in one unit, about, and where no policy holds, so that hardly any is looked at
FILES = 2000
FILES_WITHOUT_POLICY = 5000

Package = tuple[str, str]  # family and name

log = get_logger("packhouse.judging")


async def judge_waiting(services: Services) -> int:
    """Judge everything that waits now; return how many names that were. It may be broken off between two units."""
    judged, after, upto = 0, 0, await unjudged.last(services.db)
    while some := await unjudged.waiting(services.db, after, upto, AT_A_TIME):
        after = some[-1].id
        waiting = [one for one in some if not services.setbacks.rests(one.family, one.name)]
        if not waiting:
            continue
        # a feed's run leaves a name with many advisories many times: it is judged once
        waiting += await unjudged.later(services.db, waiting, after, upto)
        await services.db.write(channels.hold_all)
        packages = await _packages(services.db, waiting)
        touched = await _judge_all(services, packages)
        for family, name in sorted({(one.family, one.name) for one in waiting}):
            if family.startswith(WHOLE):
                touched |= await judge_whole(services.db, int(name), family[len(WHOLE) :])
            elif family.startswith(UNTOLD):
                touched |= await services.db.write(partial(_tell, family=family[len(UNTOLD) :], name=name))
        for family, names in packages.items():
            await look_again(services.db, family, names)
        await services.db.write(partial(unjudged.done, ids=[one.id for one in waiting]))
        judged += sum(map(len, packages.values()))
        for channel_id in sorted(touched):
            await services.publisher.publish(channel_id)
    return judged


async def judge_now(services: Services, packages: Collection[Package]) -> None:
    """Judge packages before an answer says that something holds; whoever changed it has waited for the barrier since.

    What they leave in `unjudged` stays for the next round, which thus ends what is broken off here.
    """
    by_family: defaultdict[str, set[str]] = defaultdict(set)
    for family, name in packages:
        by_family[family].add(name)
    for channel_id in sorted(await _judge_all(services, by_family)):
        await services.publisher.publish(channel_id)


async def _judge_all(services: Services, packages: Mapping[str, Collection[str]]) -> set[int]:
    """Judge names, by family, in small units; return the channels in whose index something changes.

    One that cannot be judged, by a fault of ours, keeps none of the others waiting: it is tried again later.
    """
    db, touched = services.db, set[int]()
    governed = packages and await verdicts.rulesets_in_use(db) != {verdicts.NO_POLICY}
    most = FILES if governed else FILES_WITHOUT_POLICY
    for family, names in packages.items():
        for some in await _in_units(db, family, sorted(names), most):
            touched |= await _judge_some(services, family, some)
    return touched


async def _judge_some(services: Services, family: str, names: Sequence[str]) -> set[int]:
    try:
        touched = await services.db.write(partial(_judge, family=family, names=names))
        for name in names:
            services.setbacks.over(family, name)
        return touched
    except PackhouseError:
        raise
    except Exception:
        if len(names) == 1:
            log.exception("a package could not be judged", family=family, name=names[0])
            services.setbacks.failed(family, names[0])
            await services.db.write(partial(unjudged.add, names=[(family, names[0])]))
            return set()
    touched = set()
    for name in names:
        touched |= await _judge_some(services, family, [name])
    return touched


async def _packages(db: Database, waiting: Sequence[Waiting]) -> dict[str, set[str]]:
    """Return the packages that rows are about, by family; names of advisories stand for all that may be them."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    upstream: defaultdict[str, set[str]] = defaultdict(set)
    told: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for one in waiting:
        if one.family.startswith(ECOSYSTEM):
            upstream[one.family[len(ECOSYSTEM) :]].add(one.name)
        elif one.family.startswith(NAMED):
            files, _, name = one.name.partition(" ")
            known = told[one.family[len(NAMED) :]]
            known[name] = min(int(files), known.get(name, int(files)))
        elif not one.family.startswith((WHOLE, UNTOLD)):
            found[one.family].add(one.name)
    for family, known in told.items():
        found[family] |= await _with_others(db, family, known)
    for ecosystem, names in upstream.items():
        for row in await aliases.of_upstream(db, ecosystem, names):
            found[row.family].add(row.name)
        for name in names:
            for family, package in possible_packages(ecosystem, name):
                found[family].add(package)
    return {family: names for family, names in found.items() if family in registry.FORMATS}


async def _with_others(db: Database, family: str, told: Mapping[str, int]) -> set[str]:
    """Return the packages of which somebody has files beside so many that told what they are called elsewhere."""
    there = await store.files_of(db, family, told)
    return {name for name, files in told.items() if there.get(name, 0) > files} | await store.downloaded_names(
        db, family, told
    )


async def _in_units(reader: Reader, family: str, names: Sequence[str], most: int) -> list[list[str]]:
    """Return those of the names of which there are files, or were, in groups of `most` files, but for larger names.

    Records do not say of which family they are: where nobody has anything of a family, none of theirs is.
    """
    units: list[list[str]] = []
    room = 0
    known = dict.fromkeys(await store.downloaded_names(reader, family, names), 1)
    if await store.has_files(reader, family) or await findings.any_of_family(reader, family):
        known |= await store.counts(reader, names)
    for name, files in sorted(known.items()):
        if room < files or not units:
            units.append([])
            room = most
        units[-1].append(name)
        room -= files
    return units


async def _tell(unit: Unit, family: str, name: str) -> set[int]:
    """Let the index of every channel follow that has files of a package; return these channels."""
    here = await store.channels_of(unit, family, [name])
    for channel_id in here:
        if channel := await channels.hold(unit, channel_id):
            keys = await store.keys_of(unit, channel_id, [name])
            await show_anew(unit, channel, [(partition, name) for _, partition, name in keys])
    return set(here)


async def _judge(unit: Unit, family: str, names: Sequence[str]) -> set[int]:
    """Judge packages; return the channels in whose index something changes."""
    here = [
        found for number in await store.channels_of(unit, family, names) if (found := await channels.hold(unit, number))
    ]
    new = await learn_anew(unit, family, names)
    await news.add(unit, [(one.family, one.name, one.version, one.vulnerability_id) for one in new])
    rules = await policies(unit, await verdicts.rulesets_in_use(unit))
    every = list(rules.values())
    rows = await suspects(unit, family, names, rules, every)
    batch = batch_of(rows, await recall(unit, family, rows, every), await python_of(unit, family, rows, every))
    toggled = await write_verdicts(unit, rows, batch, rules)
    dirty: defaultdict[int, set[tuple[str, str]]] = defaultdict(set)
    for number, records in toggled.items():
        for channel_id, partition, name in await store.showing(unit, number, records):
            dirty[channel_id].add((partition, name))
    for channel in here:
        mine = {number: rules[number] for number in channel.rulesets if number in rules}
        dirty[channel.id] |= await judge_reasons(unit, channel, family, names, mine)
        await show_anew(unit, channel, dirty[channel.id])
    return {channel_id for channel_id, keys in dirty.items() if keys}
