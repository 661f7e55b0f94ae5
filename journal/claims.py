"""Claims: what an agent says it did, checked against receipts by ids. What it says in words is never interpreted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from journal.connecting import call
from journal.receipts import Receipt
from journal.step_flows import StepFlows
from outbox.pg.flow import Flow

_CLAIM = "select to_json(journal.claim((:session_id)::text::uuid, (:claim)::text, (:subject)::text::uuid)::text)::text"
_CHECK = "select journal.check_claims((:session_id)::text::uuid, (:claim_ids)::text::uuid[])::text"

# What a claim may point to: a receipt, the step that has it, an id of either, or nothing.
Proof = Receipt | StepFlows | UUID | str | None


@dataclass(frozen=True)
class Claim:
    """What an agent asserts. `verdict`, when checked: backed, unbacked (no such receipt), contradicted (reversed, failed)."""

    __module__ = "journal"

    id: UUID
    text: str
    receipt_id: UUID | None
    verdict: str


@dataclass(frozen=True)
class ReplyCheck:
    """The claims of a reply, as they stand just before it is sent. True where all of them are backed."""

    __module__ = "journal"

    claims: tuple[Claim, ...]

    @property
    def backed(self) -> tuple[Claim, ...]:
        """Those that a receipt says too."""
        return self._of("backed")

    @property
    def unbacked(self) -> tuple[Claim, ...]:
        """Those without a receipt."""
        return self._of("unbacked")

    @property
    def contradicted(self) -> tuple[Claim, ...]:
        """Those whose step was rolled back, or failed."""
        return self._of("contradicted")

    def __bool__(self) -> bool:
        return len(self.backed) == len(self.claims)

    def _of(self, verdict: str) -> tuple[Claim, ...]:
        return tuple(claim for claim in self.claims if claim.verdict == verdict)


def claimed(session_id: UUID, text: str, proof: Proof) -> Flow[Claim]:
    """Record a claim; as it stands now."""
    claim_id = yield from _recorded(session_id, text, proof)
    (claim,) = yield from _checked(session_id, [claim_id])
    return claim


def reply_checked(session_id: UUID, claims: Iterable[Claim | tuple[str, Proof]]) -> Flow[ReplyCheck]:
    """Judge the claims of a reply; those that were not recorded before are."""
    claim_ids = []
    for claim in claims:
        if isinstance(claim, Claim):
            claim_ids.append(claim.id)
        else:
            claim_ids.append((yield from _recorded(session_id, *claim)))
    return ReplyCheck(tuple((yield from _checked(session_id, claim_ids))))


def _recorded(session_id: UUID, text: str, proof: Proof) -> Flow[UUID]:
    return UUID((yield from call(_CLAIM, session_id=str(session_id), claim=text, subject=_subject(proof))))


def _checked(session_id: UUID, claim_ids: list[UUID]) -> Flow[list[Claim]]:
    names = "{" + ",".join(map(str, claim_ids)) + "}"
    rows = yield from call(_CHECK, session_id=str(session_id), claim_ids=names)
    return [_claim(row) for row in rows]


def _claim(row: Mapping[str, Any]) -> Claim:
    receipt_id = row["receipt_id"]
    return Claim(UUID(row["claim_id"]), row["claim"], None if receipt_id is None else UUID(receipt_id), row["verdict"])


def _subject(proof: Proof) -> str | None:
    """What is no id of anything points to nothing: an agent that makes one up has no receipt."""
    if proof is None or isinstance(proof, UUID):
        return None if proof is None else str(proof)
    if isinstance(proof, Receipt | StepFlows):
        return str(proof.id)
    try:
        return str(UUID(proof))
    except ValueError:
        return None
