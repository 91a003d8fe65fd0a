"""A policy in plain words: what it keeps, what it hides, what may surprise, and what does not apply to a format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import structs

from packhouse.security.policies.compiling import compile_rules
from packhouse.security.policies.policy import Rules

_SHOWN = 8
#: fields that make no sense for a family, though a rule of another field of the same kind would
_CONDA_ONLY = ("platform", "platform_not", "only_signed_packages", "keep_legacy_packages")


def summarise(rules: Rules) -> list[str]:
    """Return the policy as sentences, in the order in which the rules are asked."""
    said = [*_always(rules), *_records(rules), *_vulnerabilities(rules), *_exclusions(rules), *_further(rules)]
    return said if len(said) > 2 else [*said, "Everything else may be seen."]


def warnings(rules: Rules) -> list[str]:
    """Return what may surprise whoever made the policy, as sentences."""
    return list(_warnings(rules))


def does_not_apply(rules: Rules, family: str) -> list[str]:
    """Return the fields that are set, but hide no file of a family."""
    return [
        name
        for name in Rules.__struct_fields__
        if getattr(rules, name) != getattr(Rules(), name) and not _applies(name, family)
    ]


def _applies(name: str, family: str) -> bool:
    if name in _CONDA_ONLY:
        return family == "conda"
    return name != "python_versions" or family in ("conda", "python")


def _listed(entries: Sequence[str], last: str = "or") -> str:
    shown = sorted(entries)[:_SHOWN]
    if len(entries) > _SHOWN:
        return f"{', '.join(shown)} and {len(entries) - _SHOWN:,} more"
    return f" {last} ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def _always(rules: Rules) -> Iterator[str]:
    yield "Files in quarantine are hidden."
    if rules.malware == "hide":
        yield "Malware is hidden."
    else:
        yield "Malware is not hidden."


def _records(rules: Rules) -> Iterator[str]:
    if rules.platform:
        needed = "" if "noarch" in (*rules.platform, *rules.platform_not) else ", and the noarch files that they need"
        yield f"Only files for {_listed(rules.platform)} are kept{needed}."
    if rules.platform_not:
        yield f"Files for {_listed(rules.platform_not)} are hidden."
    but = f", except for {_listed(rules.license_exception, 'and')}" if rules.license_exception else ""
    if rules.license:
        yield f"Only files licensed under {_listed(rules.license)} are kept{but}."
    if rules.license_not:
        yield f"Files licensed under {_listed(rules.license_not)} are hidden{but}."
    if rules.package_created_from or rules.package_created_to:
        since = f" from {rules.package_created_from} on" if rules.package_created_from else ""
        until = f" up to {rules.package_created_to}" if rules.package_created_to else ""
        yield f"Only files published{since}{until} are kept."
    if rules.only_signed_packages:
        yield "Only files signed by a trusted key are kept."
    if not rules.keep_legacy_packages:
        yield "A .tar.bz2 file is hidden where the same package is there as .conda."
    if rules.package_name:
        needed = ", and what they need," if rules.include_dependencies else ""
        yield f"Only {_listed(rules.package_name, 'and')}{needed} are kept."


def _vulnerabilities(rules: Rules) -> Iterator[str]:
    parts = []
    if rules.cve_score is not None:
        parts.append(f"their highest score is {rules.cve_score_comparator} {rules.cve_score:.1f}")
    if rules.cve_status:
        parts.append(f"all of them are {_listed(rules.cve_status)}")
    if rules.exclude_cve_status:
        parts.append(f"none of them is {_listed(rules.exclude_cve_status)}")
    if parts:
        score, status = (parts[:1], parts[1:]) if rules.cve_score is not None else ([], parts)
        joined = f" {rules.cve_link_status_and_score} ".join(filter(None, (*score, " and ".join(status))))
        yield f"Files with vulnerabilities are kept only if {joined}."
    if rules.cve_score is not None and rules.settled_vulnerabilities == "ignore":
        yield "Scores of cleared and mitigated vulnerabilities do not count."
    if rules.exclude_uncurated_cve_packages:
        yield "Files with a vulnerability that nobody has reviewed are hidden."
    if rules.cve_allowlist:
        yield f"{_listed(rules.cve_allowlist, 'and')} are not looked at."


def _exclusions(rules: Rules) -> Iterator[str]:
    if rules.exclude_package_name:
        but = ""
        if rules.exclude_package_name_exception:
            but = f", except for {_listed(rules.exclude_package_name_exception, 'and')}"
        yield f"{_listed(rules.exclude_package_name, 'and')} are hidden{but}."


def _further(rules: Rules) -> Iterator[str]:
    if rules.python_versions:
        yield f"Only files for Python {_listed(rules.python_versions)}, or for any, are kept."
    if rules.install_time_code == "hide":
        yield "Files that run code when they are installed, or when Python starts, are hidden."
    if rules.missing_facts == "hide" and rules.install_time_code == "hide":
        yield "So are files of which that is not known yet."
    if rules.unknown_vulnerabilities == "hide":
        yield "Files are hidden if nobody can know their vulnerabilities, or a score that matters."
    if rules.minimum_age_days:
        yield (
            f"Mirrored files are hidden for {rules.minimum_age_days} days after they were first seen, "
            "unless they fix a vulnerability that is being exploited."
        )
    if rules.latest_only:
        yield "Of each package only the newest version that may be seen is kept."
    if rules.whole_closure:
        yield "And then everything is hidden that can no longer be installed."


def _warnings(rules: Rules) -> Iterator[str]:
    # without names, of which there may be thousands to compile
    scored = structs.replace(
        rules, package_name=[], exclude_package_name=[], exclude_package_name_exception=[], license_exception=[]
    )
    rule = next((rule for rule in compile_rules(scored).rules if rule.key == "cve"), None)
    if rules.cve_score and rules.cve_score_comparator in (">", ">=", "=="):
        yield (
            f"A score {rules.cve_score_comparator} {rules.cve_score:.1f} is kept and all else hidden: "
            "files without any vulnerability do not pass."
        )
    if rules.cve_score is not None and rules.unknown_vulnerabilities == "allow":
        yield "A vulnerability without a score does not hide a file; hide unknown vulnerabilities to change that."
    if rules.cve_score is not None and rules.settled_vulnerabilities == "count":
        yield "The scores of cleared and mitigated vulnerabilities count, too."
    if rule is not None and rules.unknown_vulnerabilities == "allow":
        yield "Files of packages that no advisory can know pass."
    if rules.malware == "allow":
        yield "Malware can be installed."
    if rules.missing_facts == "hide" and rules.install_time_code == "allow":
        yield "missing_facts has no effect: no rule asks for what only the bytes say."
    if rules.cve_score_comparator != "<=" and rules.cve_score is None:
        yield "cve_score_comparator has no effect without cve_score."
    if rules.include_dependencies and not rules.package_name:
        yield "include_dependencies has no effect without package_name."
    if rules.license_exception and not (rules.license or rules.license_not):
        yield "license_exception has no effect without license or license_not."
