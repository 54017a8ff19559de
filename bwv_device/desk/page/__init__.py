"""What browsers run (docs/format.md, 12.3): three files, the same wherever they are published.

`desk.js` and `desk.css` are built from `source/` by scripts/build-desk-page. `index.html` names
both by their digests, the agency's root, and where the data come from.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

BUILT = {"desk.js": "text/javascript; charset=utf-8", "desk.css": "text/css; charset=utf-8"}
INDEX = "index.html"


def policy(api: str) -> str:
    """Content Security Policy: own scripts alone, and data from the desk alone."""
    where = urlsplit(api)
    data = f"{where.scheme}://{where.netloc}" if where.netloc else "'self'"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        f"media-src blob:; connect-src {data}; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def files(root_pem: str, api: str) -> dict[str, bytes]:
    """What is published, by name. `api`: the address of the desk's data, without the last slash."""
    here = Path(str(resources.files("bwv_device.desk.page")))
    built = {name: (here / name).read_bytes() for name in BUILT}
    root = x509.load_pem_x509_certificate(root_pem.encode("ascii")).public_bytes(Encoding.DER)
    templates = Environment(
        loader=PackageLoader("bwv_device.desk.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
    )
    index = templates.get_template("index.html.jinja").render(
        policy=policy(api),
        api=api,
        root=base64.b64encode(root).decode("ascii"),
        css=_integrity(built["desk.css"]),
        script=_integrity(built["desk.js"]),
    )
    return {INDEX: index.encode(), **built}


def digest(published: Mapping[str, bytes]) -> str:
    """One digest of all files (docs/format.md, 12.3)."""
    rows = [f"{_sha256(data)}  {name}\n" for name, data in sorted(published.items())]
    return _sha256("".join(rows).encode())


def listed(published: Mapping[str, bytes]) -> list[dict[str, str]]:
    """As a `desk-code` line holds them."""
    return [{"name": name, "sha256": _sha256(data)} for name, data in sorted(published.items())]


def routes(root_pem: str, api: str) -> list[Route]:
    """The same files, from the process that has the data: for a desk on one's own machine."""
    published = files(root_pem, api)

    def route(path: str, name: str, kind: str) -> Route:
        async def answer(request: Request) -> Response:
            return Response(published[name], media_type=kind)

        return Route(path, answer)

    made = [route(f"/{name}", name, kind) for name, kind in BUILT.items()]
    html = "text/html; charset=utf-8"
    return [route("/", INDEX, html), route(f"/{INDEX}", INDEX, html), *made]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _integrity(data: bytes) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(data).digest()).decode("ascii")
