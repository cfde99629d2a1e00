"""Who may ask a studio for anything: the browser that was given its address, and no page of the web.

Any program of this machine can connect to a port, and any page of the web can make a browser do so. Hence every request
has to call this machine by its own name (or else a page could do so under a name that it has made lead here), to carry
the token, and to come from no other page. The address that a person opens has the token; it is exchanged for a cookie,
so that it is in no history of pages and in no request that leaves.
"""

from __future__ import annotations

import secrets
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Of every answer: a page runs no code but its own, asks nobody else, and is shown in no other page."""


class Guard:
    """Lets through what comes from the page, and answers all else with 403 and a line.

    Args:
        app: that is guarded.
        token: that a request has to have.
        port: that it listens at.
    """

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app, self._token = app, token
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self._cookie = f"tas-studio-{port}"  # browsers keep cookies of all ports of a machine together

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *own]}
            await send(message)

        answer = self._refusal(scope) or self._exchange(scope)
        await (answer or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to who is let through on no account."""
        headers = _headers(scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if host.lower() not in self._hosts:
            return _refused(f"the name {host[:100]!r} for this machine, expected {self._hosts[0]}")
        if origin is not None and origin not in {f"http://{name}" for name in self._hosts}:
            return _refused("a request from another page, expected none")
        if origin is None and scope["method"] not in ("GET", "HEAD"):
            return _refused("a change without an origin, expected one from the page")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not self._has_address(scope):
            return _refused("a request from another site, expected none")
        if not self._has_address(scope) and not self._is_known(headers):
            return _refused("no token, or a wrong one; expected the whole address that the program printed")
        return None

    def _exchange(self, scope: Scope) -> Response | None:
        """The page without the token in its address, and the cookie that takes its place."""
        if not self._has_address(scope):
            return None
        response = RedirectResponse("/", 303)
        response.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", path="/")
        return response

    def _has_address(self, scope: Scope) -> bool:
        """Whether this is the page under the address that was printed."""
        if scope["method"] != "GET" or scope["path"] != "/":
            return False
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        return len(given) == 1 and self._is_token(given[0])

    def _is_known(self, headers: dict[str, str]) -> bool:
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        return self._cookie in cookies and self._is_token(cookies[self._cookie].value)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self._token.encode())


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _refused(what: str) -> Response:
    return PlainTextResponse(f"tas studio: {what}\n", 403)
