"""`bwv desk worker`."""

from __future__ import annotations

from pathlib import Path

import click

from bwv_device.commands.custody.options import CustodyContext
from bwv_device.commands.custody.service_log import ServiceLog
from bwv_device.custody.drafts import Ask, AskingSession
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError, KeyFileError
from bwv_device.formats.certificates import RENDERER
from hal.ports import StoreError

LOOKS_EVERY_S = 1.0
MEMORY = Path("/dev/shm")  # noqa: S108  private folders are made in it


@click.command()
@click.option("--url", required=True, help="Where the desk answers.")
@click.option("--page", default="", help="Where its page comes from, if from another host.")
@click.option("--ca", default="", help="PEM file of who certifies the desk's TLS.")
@click.option("--viewing-key", required=True, type=click.Path(path_type=Path),
              help="The worker's own: bwv custody enrol --role viewing.")  # fmt: skip
@click.option("--work", type=click.Path(path_type=Path), default=MEMORY, show_default=True,
              help="Where films lie in clear: memory, no disk.")  # fmt: skip
@click.option("--on-disk", is_flag=True, help="Go on where --work is on a disk.")
@click.pass_obj
def worker_command(
    context: CustodyContext,
    url: str,
    page: str,
    ca: str,
    viewing_key: Path,
    work: Path,
    on_disk: bool,
) -> None:
    """Proposes what to cover, redacts, cuts and packs films at people's signed orders, until it is
    stopped. It runs as a user of its own, or on a custodian's machine: films are in clear there."""
    from bwv_device import keys
    from bwv_device.backends.desk_line import HttpDeskLine
    from bwv_device.commands.custody.until_stopped import until_stopped
    from bwv_device.commands.key_desk.key_options import served_desk, waiting
    from bwv_device.custody.key_desk.looking import DeskKeys, ViewingKey
    from bwv_device.desk.worker import Custody, Worker, sweep
    from hal.host import HostEntropy, filesystem

    session = context.session
    if session.role != RENDERER:
        raise KeyFileError(
            f"{session.name} acts as {session.role}; a worker has a role of its own.",
            f"Make its key: bwv custody enrol worker --role {RENDERER}.",
        )
    if not on_disk and filesystem(work) not in ("tmpfs", "ramfs"):
        raise CustodyError(
            f"{work} is on a disk, and films would lie there in clear.",
            "Name a folder on tmpfs with --work, or give --on-disk.",
        )
    key = ViewingKey(*keys.load_viewing_key(viewing_key))
    sweep(work)
    key_desk = served_desk(context, "")

    def session_of(certificate_pem: bytes, ask: Ask) -> CustodySession:
        return AskingSession(
            context.store, context.clock, certificate_pem, ask, context.roots,
            context.configured_rules, HostEntropy(), context.index_path, context.trust_list,
        )  # fmt: skip

    custody = Custody(
        session,
        session_of,
        lambda: DeskKeys(session, key_desk, key, again=waiting()),
        context.roots,
        Path(context.settings.agency.root).read_bytes(),
        context.witnesses,
        waiting,
    )
    line = HttpDeskLine(url, context.signer, key.pem, ca, page)
    stopped, log = until_stopped(), ServiceLog(context)
    worker = Worker(line, custody, HostEntropy(), work, stopped.wait)
    log.line(f"the worker {session.name} waits for orders of {url}")
    while not stopped.wait(LOOKS_EVERY_S):
        try:
            if done := worker.once():
                log.line(done)
        except CustodyError as error:
            log.line(str(error), wrong=True)
        except StoreError as error:
            log.no_answer(error)
