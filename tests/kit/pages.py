"""A browser without a window: it keeps cookies, posts forms from our own pages and follows nothing by itself."""

from __future__ import annotations

from http.cookies import SimpleCookie
from urllib.parse import urlencode

from tests.kit.asgi import Answer, Client

HOST = "127.0.0.1:80"
ORIGIN = f"http://{HOST}"


class Browser:
    """One person's browser; the client's answers set its cookies."""

    def __init__(self, web: Client) -> None:
        self._web = web
        self.cookies: dict[str, str] = {}

    async def get(self, target: str, **headers: str) -> Answer:
        """Open an address."""
        return await self.request("GET", target, headers)

    async def post(self, target: str, fields: dict[str, str] | None = None, **headers: str) -> Answer:
        """Send a form of a page of ours."""
        sent = {"content-type": "application/x-www-form-urlencoded", "origin": ORIGIN, **headers}
        return await self.request("POST", target, sent, urlencode(fields or {}).encode())

    async def request(self, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        """Send anything, with the cookies."""
        if self.cookies:
            headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **headers}
        answer = await self._web.request(method, target, {"host": HOST, **headers}, [body] if body else [])
        for name, morsel in SimpleCookie(answer.headers.get("set-cookie", "")).items():
            self.cookies.pop(name, None)
            if morsel["max-age"] != "0":
                self.cookies[name] = morsel.value
        return answer

    async def sign_in(self, username: str, password: str, onward: str = "") -> Answer:
        """Fill in the form of `/login`."""
        return await self.post("/login", {"username": username, "password": password, "next": onward})
