"""Receipts: what a step did, recorded in its own commit."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload
from uuid import UUID

from journal.connecting import call, perform, plain_text
from journal.errors import ProofError, UnknownReceipt
from outbox.pg.flow import Flow

if TYPE_CHECKING:
    from outbox.pg.connections.types import AsyncConn, Conn

_RECEIPT = "select journal.receipt_json((:receipt_id)::text::uuid)::text"

_CONFIRM = "select to_json(journal.confirm((:receipt_id)::text::uuid, (:consumer)::text))::text"


@dataclass(frozen=True)
class Receipt:
    """Proof of what a step did: a row that was written in the commit of the step. `str(receipt)` is its id.

    `status`, when it was read: committed, delivered (every destination that takes its messages has stored them), confirmed (by a
    consumer), reversed (by a rollback), or pending (the caller's own transaction is still open).
    `changes`: rows per table and operation, such as {"public.orders": {"update": 1}}. `message_ids`: in the order published.
    `digest`: 'sha256:' and the hex digest of the receipt's document.
    """

    __module__ = "journal"

    id: UUID
    session_id: UUID
    step_id: UUID
    status: str
    changes: Mapping[str, Mapping[str, int]] = field(hash=False)
    message_ids: tuple[UUID, ...]
    digest: str

    def __str__(self) -> str:
        return str(self.id)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Receipt:
        """From a row of journal.receipts as JSON."""
        return cls.from_document(row["document"], row["digest"], row["status"])

    @classmethod
    def from_document(cls, document: Mapping[str, Any], digest: str, status: str) -> Receipt:
        """From the document that is stored."""
        return cls(
            id=UUID(document["receipt_id"]),
            session_id=UUID(document["session_id"]),
            step_id=UUID(document["step_id"]),
            status=status,
            changes=document["changes"],
            message_ids=tuple(map(UUID, document["message_ids"])),
            digest=digest,
        )


@overload
def receipt(conn: Conn, id: UUID | str) -> Receipt: ...


@overload
def receipt(conn: AsyncConn, id: UUID | str) -> Awaitable[Receipt]: ...


def receipt(conn: Any, id: UUID | str) -> Receipt | Awaitable[Receipt]:  # noqa: A002  the contract's name
    """The receipt of that id, with its present status. Raises `UnknownReceipt`.

    Shown to the database user whose step it was, and to whoever may read `journal.receipts`.
    """
    wanted = _receipt_id(id)
    return perform(conn, lambda: _found(wanted))


def _receipt_id(value: Any) -> UUID:
    try:
        return UUID(str(value))
    except ValueError:
        raise UnknownReceipt("this is not the id of a receipt", hint="a receipt's id is a UUID") from None


def _found(wanted: UUID) -> Flow[Receipt]:
    return Receipt.from_row((yield from call(_RECEIPT, receipt_id=str(wanted))))


@overload
def confirm(conn: Conn, receipt_id: UUID | str, consumer: str) -> bool: ...


@overload
def confirm(conn: AsyncConn, receipt_id: UUID | str, consumer: str) -> Awaitable[bool]: ...


def confirm(conn: Any, receipt_id: UUID | str, consumer: str) -> bool | Awaitable[bool]:
    """Say, as a consumer of its messages, that what the step asked for is done: the receipt becomes confirmed.

    False where that consumer said so before. Raises `UnknownReceipt`.
    """
    wanted = _receipt_id(receipt_id)
    named = plain_text(consumer, "the name of a consumer", ProofError)
    return perform(conn, lambda: call(_CONFIRM, receipt_id=str(wanted), consumer=named))


receipt.__module__ = confirm.__module__ = "journal"
