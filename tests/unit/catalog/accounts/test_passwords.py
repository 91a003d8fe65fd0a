"""What stands in for the password of nobody costs what a password costs."""

from __future__ import annotations

from argon2 import PasswordHasher

from packhouse.catalog.accounts.passwords import NOBODY, PasswordChecker


def test_an_unknown_user_takes_the_work_of_a_known_one() -> None:
    assert not PasswordHasher().check_needs_rehash(NOBODY), "make a new one: new passwords take other work by now"


async def test_no_password_is_that_of_nobody() -> None:
    assert not await PasswordChecker().matches(None, "nobody's password")
