"""What people do at an OpenID provider, and what the worker asks it of them."""

from __future__ import annotations

from packhouse.catalog.installation.keys import load_keys
from packhouse.workflows.signin.oidc.federation import Federation
from tests.kit.asgi import Answer
from tests.kit.fake_idp import FakeIdp
from tests.kit.house import House
from tests.kit.pages import Browser


async def arrives(browser: Browser, idp: FakeIdp, onward: str = "") -> Answer:
    """Sign in at a provider and come back."""
    sent = await browser.get("/login/idp" + (f"?next={onward}" if onward else ""))
    return await browser.get(f"/login/idp/callback?{idp.come(sent.headers['location'])}")


async def recheck(house: House) -> None:
    """Ask about all logins now, as the worker does every few minutes."""
    db = house.services.db
    await db.write(lambda unit: unit.execute("UPDATE login SET checked_at = 0"))
    await Federation(house.services).recheck(await load_keys(db, house.services.sealer))
    await house.caught_up()
