"""`bwv desk check`: is what a server gives to browsers what custody's ledger names?"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import click
import urllib3

from bwv_device.commands.custody.options import CustodyContext
from bwv_device.errors import CustodyError

LIMIT = 16 << 20
TIMEOUT = urllib3.Timeout(connect=5, read=60)
# A server that means to deceive gives its lie to browsers alone.
BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/150.0.0.0 Safari/537.36"
)


@click.command()
@click.argument("url")
@click.option("--digest", default="", help="Instead of the ledger's: from paper, say.")
@click.option("--ca", default="", help="PEM file of who certifies the server's TLS.")
@click.pass_obj
def check_command(context: CustodyContext, url: str, digest: str, ca: str) -> None:
    """Fetches the files at URL as a browser would, and compares them with the newest 'desk-code'
    line of custody's ledger, or with a digest from elsewhere."""
    from bwv_device.desk import page

    found = {name: fetched(f"{url.rstrip('/')}/{name}", ca) for name in (page.INDEX, *page.BUILT)}
    alone = fetched(url.rstrip("/") + "/", ca)
    have = page.digest(found)
    expected: Mapping[str, str] = {}
    if not digest:
        digest, expected = _named(context)
    other = [
        name
        for name, data in found.items()
        if expected and expected.get(name) != hashlib.sha256(data).hexdigest()
    ]
    if alone != found[page.INDEX]:
        other.append("/")
    if have != digest or other:
        raise CustodyError(
            f"{url} gives other code to browsers than was published: "
            f"{', '.join(other) or 'digest ' + have}.",
            "Nobody should sign anything there. Find out who changed it.",
        )
    click.echo(f"{url} gives the published code: digest {have}.")


def _named(context: CustodyContext) -> tuple[str, dict[str, str]]:
    context.index.catch_up()
    lines = list(context.index.lines("kind = 'desk-code'"))
    if not lines:
        raise CustodyError(
            "No line of custody's ledger names the desk's code.", "Publish it: bwv desk code."
        )
    newest = lines[-1]
    return str(newest["sha256"]), {file["name"]: file["sha256"] for file in newest["files"]}


def fetched(address: str, ca: str) -> bytes:
    """Raises `CustodyError`."""
    pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False, ca_certs=ca or None)
    try:
        answer = pool.request(
            "GET", address, headers={"User-Agent": BROWSER}, preload_content=False, redirect=False
        )
        try:
            data, status = answer.read(LIMIT + 1), answer.status
        finally:
            answer.close()
    except urllib3.exceptions.HTTPError as error:
        raise CustodyError(
            f"{address} can't be fetched: {type(error).__name__}.", "Check the address."
        ) from None
    if status != 200 or len(data) > LIMIT:
        raise CustodyError(f"{address} answers {status}.", "Check the address.")
    return bytes(data)
