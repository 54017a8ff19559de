"""`bwv custody expire`: deletion by day 31."""

from __future__ import annotations

import click
from rich.progress import track
from rich.table import Table

from bwv_device.commands.cli.tables import plain, print_table
from bwv_device.commands.custody.options import CustodyContext, print_json
from bwv_device.commands.custody.service_log import ServiceLog
from bwv_device.commands.custody.until_stopped import until_stopped
from bwv_device.custody.quarantine import erase_discarded
from bwv_device.custody.retention.deletion import ERASE, HIDE, Expiry, plan
from bwv_device.custody.retention.words_erasure import erase_words
from bwv_device.formats.visible_text import visible
from hal.ports import StoreError

# Of so many recordings the objects are worked on side by side: a store may take its time.
AT_ONCE = 16
COLOURS = {ERASE: "red", HIDE: "yellow"}


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go, and why everything else stays.")
@click.option("--confirm", default=0, help="The number that an unusually large run would erase.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--watch", is_flag=True, help="Go on until stopped; send reminders too.")
@click.pass_obj
def expire_command(
    context: CustodyContext, dry_run: bool, confirm: int, as_json: bool, watch: bool
) -> None:
    """Hides and erases what is due, with signed certificates."""
    if watch:
        _watch(context)
        return
    if dry_run:
        decisions = list(plan(context.session))
        if as_json:
            print_json([decision._asdict() for decision in decisions])
            return
        table = Table(box=None, pad_edge=False)
        for column in ("recording", "", "why"):
            table.add_column(column)
        for decision in track(decisions, "looking", transient=True):
            colour = COLOURS.get(decision.action, "green")
            table.add_row(plain(decision.recording), f"[{colour}]{decision.action}[/]",
                          plain(decision.why))  # fmt: skip
        print_table(table)
        return
    done = Expiry(context.session, list(context.replicas.values()), AT_ONCE).run(confirm)
    worded = erase_words(context.session)
    discarded = erase_discarded(context.session, list(context.replicas.values()))
    if as_json:
        print_json({"hidden": done.hidden, "erased": done.erased, "restored": done.restored,
                    "denied": done.denied, "waiting": done.waiting, "words": worded,
                    "discarded": discarded})  # fmt: skip
        return
    for word in ("hidden", "restored", "erased"):
        for name in getattr(done, word):
            click.echo(f"{word}: {name}")
    for sentence in done.denied:
        click.echo(visible(f"protected by the store, tried again next time: {sentence}"), err=True)
    for sentence in done.waiting:
        click.echo(visible(f"due, and not whole: {sentence}"), err=True)
    for number in discarded:
        click.echo(f"discarded: quarantine {number}")
    if worded:
        click.echo(f"the words of {worded} lines are erased", err=True)
    click.echo(f"{len(done.hidden)} hidden, {len(done.erased)} erased.", err=True)


def _watch(context: CustodyContext) -> None:
    """The retention service."""
    expiry = Expiry(context.session, list(context.replicas.values()), AT_ONCE)
    service, told, log = context.settings.service, set[str](), ServiceLog(context)
    stopped = until_stopped()
    while True:
        try:
            log.expiry(expiry)
            log.words(context.session)
            log.quarantine(context.session, list(context.replicas.values()), told)
            log.keys(context.session, told)
            log.remind(context.session, service.reminder_days, told)
        except StoreError as error:
            log.no_answer(error)
        if stopped.wait(service.retention_s):
            return
