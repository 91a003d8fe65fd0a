"""What a synchronisation changes, and when it stops instead."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from packhouse.catalog.identities.store import Vouched
from packhouse.workflows.signin.directory.asking import Known
from packhouse.workflows.signin.directory.people import Person
from packhouse.workflows.signin.directory.plan import Plan, plan, shrinks

IDS = {"data": 7, "ops": 8}


def account(number: int, *groups: int, own: bool = True, disabled_by: str | None = None) -> Vouched:
    mail = f"p{number}@x.org"
    return Vouched(
        number, f"p{number}", f"s{number}", f"uid=p{number}", own, disabled_by, (mail, "", ""), frozenset(groups),
        frozenset(),
    )  # fmt: skip


def known(number: int, *groups: str, mail: str = "", dn: str = "") -> Known:
    email = mail or f"p{number}@x.org"
    person = Person(subject=f"s{number}", username=f"p{number}", dn=dn or f"uid=p{number}", email=email)
    return Known(person, frozenset(groups))


def planned(accounts: list[Vouched], found: list[Known]) -> Plan:
    return plan(
        accounts,
        {one.person.subject: one for one in found},
        lambda names: frozenset(IDS[name] for name in names if name in IDS),
        lambda names: frozenset({2} if "ops" in names else ()),
    )


def changed(made: Plan) -> list[int]:
    return [change.account.account_id for change in made.changes]


def test_who_is_as_before_is_only_confirmed() -> None:
    made = planned([account(1, 7)], [known(1, "data", "unmapped")])
    assert changed(made) == [] and made.confirmed == [1] and (made.lost, made.before) == (0, 1)


def test_groups_and_roles_follow() -> None:
    (change,) = planned([account(1, 7)], [known(1, "ops")]).changes
    assert change.groups == {8} and change.roles == {2}


def test_who_is_gone_loses_everything_and_is_disabled_once() -> None:
    (change,) = planned([account(1, 7)], []).changes
    assert change.known is None and not change.groups and not change.roles
    assert changed(planned([account(1, disabled_by="directory"), account(2, disabled_by="admin")], [])) == []


def test_who_was_made_anew_in_the_directory_is_one_person() -> None:
    """Their account was joined with both by its mail address; only one of them is there still."""
    gone, here = account(1, 7), account(1, 7)._replace(subject="s2", external="uid=p2")
    known_still = known(2, "data", mail="p1@x.org")
    for rows in ([gone, here], [here, gone]):
        made = planned(rows, [known_still])
        assert changed(made) == [] and made.confirmed == [1] and (made.lost, made.before) == (0, 1)
    (change,) = planned([gone, here], []).changes
    assert change.known is None


def test_a_local_account_that_was_joined_loses_only_what_the_directory_gave() -> None:
    assert changed(planned([account(1, 7, own=False)], [])) == [1]
    assert changed(planned([account(1, own=False)], [])) == []
    assert changed(planned([account(1, own=False)], [known(1, mail="new@x.org")])) == []


def test_who_returns_is_let_in_again_unless_a_person_shut_them_out() -> None:
    assert changed(planned([account(1, disabled_by="directory")], [known(1)])) == [1]
    made = planned([account(1, disabled_by="admin")], [known(1)])
    assert changed(made) == [] and made.confirmed == [1]


def test_names_and_addresses_follow() -> None:
    assert changed(planned([account(1)], [known(1, mail="new@x.org")])) == [1]
    assert changed(planned([account(1)], [known(1, dn="uid=p1,ou=elsewhere")])) == [1]


def test_strangers_get_no_account() -> None:
    assert planned([], [known(1, "data")]) == Plan([], [], 0, 0)


def test_a_directory_that_lost_most_people_holds_the_run_but_small_teams_may_shrink() -> None:
    many = [account(number, 7) for number in range(100)]
    left = [known(number, "data") for number in range(49)]
    assert shrinks(planned(many, left), 50) and not shrinks(planned(many, [*left, known(49, "data")]), 50)
    assert shrinks(planned(many, [known(number) for number in range(100)]), 50)  # all groups gone
    assert not shrinks(planned(many[:3], []), 0)
    assert not shrinks(planned([], []), 0)


@given(
    st.lists(st.tuples(st.sets(st.sampled_from([7, 8])), st.booleans(), st.sampled_from([None, "directory", "admin"]))),
    st.dictionaries(st.integers(0, 5), st.sets(st.sampled_from(["data", "ops"]))),
)
def test_after_it_there_is_nothing_left_to_do(
    before: list[tuple[set[int], bool, str | None]], found: dict[int, set[str]]
) -> None:
    accounts = [account(n, *groups, own=own, disabled_by=by) for n, (groups, own, by) in enumerate(before)]
    people = [known(number, *groups) for number, groups in found.items()]
    by_id = {change.account.account_id: change for change in planned(accounts, people).changes}
    after = []
    for one in accounts:
        change = by_id.get(one.account_id)
        if change:
            by = one.disabled_by
            if one.own and change.known is None and by is None:
                by = "directory"
            elif one.own and change.known is not None and by == "directory":
                by = None
            one = one._replace(groups=change.groups, roles=change.roles, disabled_by=by)
        after.append(one)
    assert changed(planned(after, people)) == []
