"""Both verifiers agree on vaults whose every change is signed; and a verifier that judges less is
found out. The full count runs in `make campaign`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from bwv_device.verification import boot_key, ledger_chain, receipts, second_verifier
from sim.sweeps.signed_mutations import SignedMutations

SAMPLE = 300


@pytest.fixture
def suite() -> Iterator[SignedMutations]:
    made = SignedMutations()
    yield made
    made.close()


def failures(suite: SignedMutations, count: int = SAMPLE) -> list[str]:
    return [failure for n in range(count) if (failure := suite.run(n).failure)]


def test_both_verifiers_agree(suite: SignedMutations) -> None:
    results = [suite.run(n) for n in range(SAMPLE)]
    assert [result.failure for result in results if result.failure] == []
    words = Counter(result.first for result in results)
    assert words["whole"] >= 10  # some changes mean nothing, and number 0 is not changed
    assert words["open"] >= 2
    assert words["changed"] >= SAMPLE // 2


def test_the_same_number_is_the_same_vault(suite: SignedMutations) -> None:
    assert [suite.run(n) for n in range(20)] == [suite.run(n) for n in range(20)]


def lenient_typed(kind: str, fields: dict[str, Any]) -> Any:
    """As version 1 did: a marker, a gap, a time were not judged."""
    try:
        return typed(kind, fields)
    except ledger_chain.GrammarError:
        if kind in ("marker", "gap", "time", "state", "refused"):
            return None
        raise


typed = ledger_chain.typed


def any_camera(chain: Any, roots: Any = ()) -> str:
    """As version 1 did: whoever has a certificate below the root is a camera."""
    return str(
        chain[0].subject.get_attributes_for_oid(second_verifier.x509.NameOID.COMMON_NAME)[0].value
    )


PLANTED = {
    "a kind is not judged": (ledger_chain, "typed", lenient_typed),
    "anybody is a camera": (boot_key, "camera_of", any_camera),
    "a second verifier that knows no forms": (second_verifier, "misfit", lambda *_: ""),
    "a receipt's fields are not judged": (
        receipts.statements, "typed", lambda kind, fields: receipts.statements.Receipt(
            **{name: fields.get(name) for name in receipts.statements.Receipt.__slots__}
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED)
def test_a_verifier_that_judges_less_is_found_out(
    planted: str, suite: SignedMutations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*PLANTED[planted])
    assert any(suite.run(n).failure for n in range(6 * SAMPLE))
