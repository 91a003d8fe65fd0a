"""What an identity file may say, and what is said of one that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from packhouse.core.errors import PackhouseError
from packhouse.core.settings import Settings
from packhouse.workflows.signin.identity import LdapProvider, OidcProvider, load

OIDC = '[[provider]]\nkind = "oidc"\nname = "corp"\nissuer = "https://id.example.org/a"\nclient_id = "packhouse"\n'
LDAP = '[[provider]]\nkind = "ldap"\nname = "staff"\nurl = "ldaps://dc.example.org"\nuser_base = "ou=p,dc=example"\n'


def settings(folder: Path, text: str | None) -> Settings:
    if text is not None:
        (folder / "identity.toml").write_text(text)
    return Settings(data_dir=folder)


def test_without_a_file_nobody_else_vouches(tmp_path: Path) -> None:
    assert load(settings(tmp_path, None)) == ()
    assert load(settings(tmp_path, "")) == ()


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(PackhouseError, match=r"gone\.toml cannot be used: it cannot be read: No such file"):
        load(Settings(data_dir=tmp_path, identity_file=str(tmp_path / "gone.toml")))


def test_both_kinds_with_their_defaults(tmp_path: Path) -> None:
    oidc, ldap = load(settings(tmp_path, OIDC + LDAP))
    assert isinstance(oidc, OidcProvider) and oidc.algorithms == ("RS256", "ES256", "PS256") and oidc.shown == "corp"
    assert isinstance(ldap, LdapProvider) and ldap.username_attribute == "uid" and ldap.sync_seconds == 86_400
    assert not oidc.link_by_email and not ldap.allow_plain and ldap.nested == "walk"


def test_secrets_come_from_a_file_or_the_environment_and_are_never_shown(tmp_path: Path) -> None:
    (tmp_path / "bind").write_text("from a file\n")
    text = OIDC + 'client_secret = "${THE_SECRET}"\n' + LDAP + 'bind_dn = "cn=s"\nbind_password_file = "bind"\n'
    oidc, ldap = load(settings(tmp_path, text), {"THE_SECRET": "from outside"})
    assert isinstance(oidc, OidcProvider) and oidc.client_secret == "from outside"
    assert isinstance(ldap, LdapProvider) and ldap.bind_password == "from a file"
    assert repr((oidc, ldap)) == "(OidcProvider(corp), LdapProvider(staff))"


@pytest.mark.parametrize(
    "text, said",
    [
        ("x = 1", "it has `x`, which means nothing"),
        ("[provider]\n", "`provider` is not a list of tables"),
        ("provider = [1]\n", "`provider` is not a list of tables"),
        ("[[provider", "cannot be read"),
        (OIDC + OIDC, "two providers are called 'corp'"),
        (OIDC.replace('"oidc"', '"saml"'), "provider 'corp': Invalid value 'saml'"),
        (OIDC.replace("corp", "Corp Ltd"), "provider 'Corp Ltd': Expected `str` matching regex"),
        (OIDC.replace('name = "corp"\n', ""), "provider number 1: Object missing required field `name`"),
        (OIDC + 'algorithms = ["none"]\n', "provider 'corp': Invalid enum value 'none'"),
        (OIDC + 'algorithms = ["HS256"]\n', "provider 'corp': Invalid enum value 'HS256'"),
        (OIDC + 'clientsecret = "hush"\n', "unknown field `clientsecret`"),
        (OIDC + 'client_secret_file = "gone"\n', "the file of `client_secret_file` cannot be read: No such file"),
        (OIDC + 'client_secret = "${NOT_SET}"\n', "the variable NOT_SET is not set"),
        (LDAP.replace("ldaps:", "http:"), "provider 'staff': Expected `str` matching regex"),
        (LDAP + "allow_plain = true\n", "`allow_plain` contradicts an address ldaps://"),
        (LDAP + 'bind_dn = "cn=s"\n', "of `bind_dn` and `bind_password` one is missing"),
        (LDAP + "sync_seconds = 0\n", "`int` >= 1"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PackhouseError) as caught:
        load(settings(tmp_path, text), {})
    assert caught.value.code == "bad_request" and said in str(caught.value) and "hush" not in str(caught.value)


def test_an_administrator_is_made_only_by_who_is_named_so_in_the_file(tmp_path: Path) -> None:
    plain, named = load(settings(tmp_path, OIDC + LDAP + '[provider.roles]\noperators = "admin"\nwriters = "author"\n'))
    assert plain.roles_of(["admin", "author", "offline_access"]) == {"author", "offline_access"}
    assert plain.admin_roles == frozenset()
    assert named.roles_of(["operators", "writers", "admin", "others"]) == {"admin", "author"}
    assert named.admin_roles == {"admin"}


def test_required_groups_admit_who_is_in_one(tmp_path: Path) -> None:
    (provider,) = load(settings(tmp_path, OIDC + 'required_groups = ["/a", "/b"]\n'))
    assert provider.admits(["/b", "/c"]) and not provider.admits(["/c"]) and not provider.admits([])
