"""Claims: what an agent says it did, checked against receipts by ids. What it says in words is never interpreted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from journal.connecting import call, plain_text
from journal.errors import ProofError
from journal.receipts import Receipt
from journal.step_flows import StepFlows
from outbox.pg.flow import Flow

_CLAIM = "select to_json(journal.claim((:session_id)::text::uuid, (:claim)::text, (:subject)::text::uuid)::text)::text"
_CHECK = "select journal.check_claims((:session_id)::text::uuid, (:claim_ids)::text::uuid[])::text"

_PAIR = 2
_PAIRS = "pass what session.claim returned, or (text, receipt) with None where nothing backs it"

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


@dataclass(frozen=True)
class Said:
    """A claim that is not recorded yet, checked before anything is sent. `subject`: the id that it points to."""

    text: str | None
    subject: str | None


def said(text: Any, proof: Any) -> Said:
    """What an agent says. Raises `ProofError`."""
    return Said(plain_text(text, "a claim", ProofError), _subject(proof))


def listed(claims: Any) -> list[Claim | Said]:
    """The claims of a reply: recorded before, or pairs of text and proof. Raises `ProofError`."""
    if isinstance(claims, str | bytes | Mapping) or not isinstance(claims, Iterable):
        raise ProofError(f"the claims of a reply are a list, not {type(claims).__name__}", hint=_PAIRS)
    return [claim if isinstance(claim, Claim) else said(*_pair(claim)) for claim in claims]


def claimed(session_id: UUID, claim: Said) -> Flow[Claim]:
    """Record a claim; as it stands now."""
    claim_id = yield from _recorded(session_id, claim)
    (recorded,) = yield from _checked(session_id, [claim_id])
    return recorded


def reply_checked(session_id: UUID, claims: list[Claim | Said]) -> Flow[ReplyCheck]:
    """Judge the claims of a reply; those that were not recorded before are. One whose record is gone has nothing to back it."""
    recorded = []
    for claim in claims:
        on_record = yield from _on_record(session_id, claim)
        recorded.append(on_record)
    judged = {claim.id: claim for claim in (yield from _checked(session_id, [claim.id for claim in recorded]))}
    return ReplyCheck(tuple(judged.get(claim.id, replace(claim, verdict="unbacked")) for claim in recorded))


def _on_record(session_id: UUID, claim: Claim | Said) -> Flow[Claim]:
    return claim if isinstance(claim, Claim) else (yield from claimed(session_id, claim))


def _pair(claim: Any) -> tuple[Any, Any]:
    if not isinstance(claim, tuple | list) or len(claim) != _PAIR:
        raise ProofError(
            f"a reply claims what session.claim returned, or pairs, not {type(claim).__name__}", hint=_PAIRS
        )
    return claim[0], claim[1]


def _recorded(session_id: UUID, claim: Said) -> Flow[UUID]:
    return UUID((yield from call(_CLAIM, session_id=str(session_id), claim=claim.text, subject=claim.subject)))


def _checked(session_id: UUID, claim_ids: list[UUID]) -> Flow[list[Claim]]:
    names = "{" + ",".join(map(str, claim_ids)) + "}"
    rows = yield from call(_CHECK, session_id=str(session_id), claim_ids=names)
    return [_claim(row) for row in rows]


def _claim(row: Mapping[str, Any]) -> Claim:
    receipt_id = row["receipt_id"]
    return Claim(UUID(row["claim_id"]), row["claim"], None if receipt_id is None else UUID(receipt_id), row["verdict"])


def _subject(proof: Any) -> str | None:
    """What is no id of anything points to nothing: an agent that makes one up has no receipt."""
    if proof is None or isinstance(proof, UUID):
        return None if proof is None else str(proof)
    if isinstance(proof, Receipt | StepFlows):
        return str(proof.id)
    if not isinstance(proof, str):
        raise ProofError(
            f"what backs a claim is a receipt, a step or an id of one, not {type(proof).__name__}",
            hint="pass step.receipt, or None where nothing backs it",
        )
    try:
        return str(UUID(proof))
    except ValueError:
        return None
