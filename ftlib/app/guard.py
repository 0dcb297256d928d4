"""ASGI middleware: accept only known hosts, requests of the page's own origin, and bodies of limited size.

Host names are checked although the page listens on this machine alone: a web site can point a name of its own at
127.0.0.1 (DNS rebinding), and the visitor's browser then lets that site read the catalog and vote. An IP address cannot
be pointed elsewhere, so on a network every IP address is accepted. Origins are checked because Gradio lets any site
read what it serves under an address that is not localhost. Behind a proxy or a tunnel, allow its host with `ftlib serve
--allow-host NAME` or FTLIB_ALLOWED_HOSTS (several with commas; `*.example.com` for all below it, `*` for any).
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse

LARGEST_BODY = 2**16  # bytes; a title, a question and the decoding need a few thousand
ENVIRONMENT = "FTLIB_ALLOWED_HOSTS"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANY_ADDRESS = "any address in digits"
# Proxies of notebook services: {environment variable that the service sets: host names of its proxy}.
SERVICES = {
    "COLAB_RELEASE_TAG": ("*.googleusercontent.com", "*.colab.dev", "colab.research.google.com"),
    "KAGGLE_KERNEL_RUN_TYPE": ("*.kaggle.net", "*.kaggleusercontent.com"),
    "CODESPACES": ("*.app.github.dev", "*.github.dev"),
}


def allowed_hosts(host: str, extra: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the host names that requests may use, for a page that listens on `host`; `*.NAME` for all names below it."""
    hosts = [*LOOPBACK]
    if host not in LOOPBACK:
        hostname = socket.gethostname().lower()
        hosts += [ANY_ADDRESS, host.lower(), hostname, f"{hostname}.local", socket.getfqdn().lower()]
    hosts += [name for variable, names in SERVICES.items() if os.environ.get(variable) for name in names]
    listed = [*extra, *os.environ.get(ENVIRONMENT, "").split(",")]
    return tuple(dict.fromkeys([*hosts, *(name.strip().lower() for name in listed if name.strip())]))


def is_allowed(name: str | None, allowed: Iterable[str]) -> bool:
    """Return whether a host name (without port, IPv6 without brackets) is one of `allowed`."""
    if not name:
        return False
    name = name.lower().rstrip(".")
    for pattern in allowed:
        if pattern == "*" or name == pattern or (pattern.startswith("*.") and name.endswith(pattern[1:])):
            return True
        if pattern == ANY_ADDRESS and _is_address(name):
            return True
    return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _host_of(netloc: str) -> str | None:
    """Return the host of `host:port`, or None if it cannot be parsed."""
    try:
        return urlsplit(f"//{netloc}").hostname
    except ValueError:
        return None


class Guard:
    """ASGI middleware: 400 for an unknown host, 403 for a page of another origin, 413 for a body over `largest` bytes."""

    def __init__(self, app, allowed: tuple[str, ...], largest: int = LARGEST_BODY):
        self.app, self.allowed, self.largest = app, allowed, largest

    async def __call__(self, scope, receive, send):
        """Answer a request, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._refused(headers)
        if refused is not None:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await refused(scope, receive, send)
            return
        await self.app(scope, self._counted(receive), send)

    def _refused(self, headers: dict[bytes, str]) -> PlainTextResponse | None:
        host = _host_of(headers.get(b"host", ""))
        if not is_allowed(host, self.allowed):
            advice = (
                f"unknown host: to serve the page under it, run ftlib serve --allow-host NAME, or set {ENVIRONMENT}\n"
            )
            return PlainTextResponse(advice, 400)
        origin = headers.get(b"origin")
        if origin is not None:
            origin_host = _host_of(origin.partition("://")[2])
            # an IP address is accepted only if it is the page's own: another site may be served from an IP address too
            named_hosts = tuple(name for name in self.allowed if name != ANY_ADDRESS)
            if origin_host != host and not is_allowed(origin_host, named_hosts):
                return PlainTextResponse("cross-origin request refused: open the page itself\n", 403)
        length = headers.get(b"content-length", "0")
        if not length.isascii() or not length.isdecimal() or len(length) > 12 or int(length) > self.largest:
            return PlainTextResponse(f"request body too large; allowed are at most {self.largest:,} bytes\n", 413)
        return None

    def _counted(self, receive):
        """Wrap `receive` to end the request where a body without a stated length grows too large."""
        seen = 0

        async def counted():
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self.largest:
                    from starlette.exceptions import HTTPException

                    raise HTTPException(413, f"request body too large; allowed are at most {self.largest:,} bytes")
            return message

        return counted
