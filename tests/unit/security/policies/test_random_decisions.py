"""The engine and a naive second implementation say the same of random channels under random policies.

By default some hundreds; `pytest -m full` asks 10,000.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from packhouse.core.clock import DAY
from packhouse.formats.licenses import license_family
from packhouse.security.policies.batch import Batch
from packhouse.security.policies.batch import File as Row
from packhouse.security.policies.checking import check
from packhouse.security.policies.compiling import compile_rules
from packhouse.security.policies.decide import decide
from packhouse.security.policies.demands import Demands
from packhouse.security.policies.explain import explain
from packhouse.security.policies.findings import UNSCORED, Known
from packhouse.security.policies.needs import Needs
from packhouse.security.policies.policy import NO_POLICY, Rules, edited
from packhouse.security.policies.reserved import Reserved
from packhouse.security.policies.survey import survey
from packhouse.security.policies.waivers import Waiver, lifted
from tests.kit.chances import Chance
from tests.kit.oracle import Case, File, Flaw, allowed

NOW = 20_600 * DAY  # in 2026


def known(flaw: Flaw) -> Known:
    score = UNSCORED if flaw.score is None else flaw.score
    return Known(flaw.key, score, "malware" if flaw.malware else "vulnerability", flaw.exploited, flaw.aliases)


def row(file: File) -> Row:
    return Row(
        file.name,
        file.version,
        file.subdir,
        file.build,
        0,
        file.license,
        license_family("", file.license),
        file.published,
        file.first_seen,
        f">={file.python[0]},<{file.python[1]}" if file.python else "",
        mirrored=file.mirrored,
        held=file.held,
        install_code=file.install_code,
        mapped=file.known,
        quarantined=file.quarantined,
        legacy=file.legacy,
        findings=tuple((known(flaw), word) for flaw, word in file.flaws),
    )


def judged(case: Case) -> tuple[set[str], dict[str, bool]]:
    """Return what the engine lets be seen, and what an explanation says of each file."""
    policy = compile_rules(NO_POLICY if case.fields is None else check(edited(Rules(), case.fields)))
    batch = Batch.of("conda", [row(file) for file in case.files])
    own = {file.name for file in case.files if not file.mirrored}
    waivers = tuple(
        Waiver(number, "conda", str(one.spec), NOW + DAY, one.rules, one.cves)
        for number, one in enumerate(case.waivers)
    )
    demands = Demands(batch, Needs.of([map(str, file.depends) for file in case.files]))
    context = survey(batch, policy, NOW, demands, Reserved({"conda": own}, case.reserved), waivers=waivers)
    seen = decide(batch, context, policy, NOW).seen.copy()
    seen[lifted(batch, context, policy, waivers, NOW).rows] = True
    told = {
        file.ckey: explain(batch, number, context, policy, NOW, waivers).seen for number, file in enumerate(case.files)
    }
    return {case.files[number].ckey for number in np.flatnonzero(seen).tolist()}, told


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.full)])
def test_what_may_be_seen_is_what_the_manual_says(count: int) -> None:
    hidden = 0
    for seed in range(count):
        case = Chance(seed).case(NOW)
        seen, told = judged(case)
        wanted = allowed(case)
        assert seen == wanted, (seed, case.fields, seen ^ wanted)
        assert {ckey for ckey, shown in told.items() if shown} == seen, "an explanation says what was decided (I6)"
        hidden += len(case.files) - len(seen)
    assert hidden > count


def test_the_oracle_itself_hides_what_it_should() -> None:
    """A few cases by hand, so that two wrong implementations are not taken for a right one."""
    old, new = File("alfa", "1.0", "0", "noarch"), File("alfa", "2.0", "0", "noarch")
    flawed = replace(new, flaws=[(Flaw("CVE-2024-1", 98), "reported")])
    assert allowed(Case([old, new], None, NOW)) == {old.ckey, new.ckey}
    assert allowed(Case([old, flawed], {"cve_score": 7}, NOW)) == {old.ckey}
    assert allowed(Case([old, flawed], {"cve_score": 7, "latest_only": True}, NOW)) == {old.ckey}
    assert allowed(Case([old, new], {"latest_only": True}, NOW)) == {new.ckey}
    assert allowed(Case([old, flawed], {"cve_score": 9.8}, NOW)) == {old.ckey, new.ckey}
    assert allowed(Case([old, flawed], {"cve_score": 7, "cve_allowlist": ["CVE-2024-1"]}, NOW)) == {old.ckey, new.ckey}
