"""One connection to NATS, and JetStream's API in its own JSON.

nats-py never reconnects here: it would send old bytes again behind our back. Whoever needs a lost connection next makes a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from relay.destinations.base import read_credentials
from relay.errors import DestinationRefused, DestinationUnavailable

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from nats.aio.client import Client

T = TypeVar("T")
_log = logging.getLogger("relay.nats")
_ANSWER_SECONDS = 5.0
_PENDING_BYTES = 64 * 1024 * 1024


class ApiError(Exception):
    """What JetStream's API, or an append, answered; `code` is nats-server's error code (errors.json there)."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(str(error.get("description", "unknown error")))
        self.code = int(error.get("err_code", 0))


class JetStream:
    """A connection that is made when it is needed. `credentials` is the path of a file."""

    def __init__(self, host: str, port: int, credentials: str | None) -> None:
        self._host = host
        self._port = port
        self._credentials = credentials
        self._client: Client | None = None
        self._gone = asyncio.Event()
        self._problem = ""

    async def connect(self) -> int:
        """Connect unless connected; the largest message that the server takes, in bytes.

        Raises `DestinationUnavailable`, and `DestinationRefused` when a package is missing or the credentials cannot be read.
        """
        if self._client is None or not self._client.is_connected:
            await self.close()
            self._client = await self._connect()
        return int(self._client.max_payload)

    async def close(self) -> None:
        """Close the connection, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):  # whatever a dying connection says, it is gone
                await asyncio.wait_for(client.close(), 2)

    async def api(self, call: str, request: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """A call such as STREAM.INFO.name. Raises `ApiError`, `DestinationUnavailable`."""
        return await self.request(f"$JS.API.{call}", json.dumps(request).encode() if request else b"")

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> None:
        """Send, and wait for nothing. Raises `DestinationUnavailable`."""
        from nats.errors import Error  # noqa: PLC0415

        try:
            await self._live().publish(subject, payload, headers=headers)
        except (Error, OSError) as error:
            raise self._lost(error) from error

    async def request(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> Mapping[str, Any]:
        """Send, and wait for the answer. Raises `ApiError`, and `DestinationUnavailable` when there is none."""
        from nats.errors import Error  # noqa: PLC0415

        try:
            work = self._live().request(subject, payload, timeout=_ANSWER_SECONDS, headers=headers)
            answer: Mapping[str, Any] = json.loads((await self._unless_gone(work)).data)
        except (Error, OSError, TimeoutError, ValueError) as error:
            await self.close()  # what was sent on it must not arrive behind our back
            raise self._lost(error) from error
        # Three replicas put a sequence beside the error: the error is looked at first.
        if "error" in answer:
            raise ApiError(answer["error"])
        return answer

    async def _connect(self) -> Client:
        try:
            from nats.aio.client import Client  # noqa: PLC0415  loaded when it is used
            from nats.errors import Error  # noqa: PLC0415
        except ImportError as error:
            raise DestinationRefused("nats-py is not installed", hint="pip install 'agent-journal[nats]'") from error
        client, options = Client(), _read_credentials(self._credentials)
        self._problem = ""
        self._gone.clear()
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await client.connect(
                    servers=[f"nats://{self._host}:{self._port}"],
                    name="relay",
                    allow_reconnect=False,
                    max_reconnect_attempts=1,  # 0 would mean for ever
                    reconnect_time_wait=0,
                    pending_size=_PENDING_BYTES,
                    error_cb=self._on_error,
                    disconnected_cb=self._on_gone,
                    closed_cb=self._on_gone,
                    **options,
                )
        except ImportError as error:
            raise DestinationRefused("these credentials need the package nkeys", hint="pip install nkeys") from error
        except (Error, OSError, TimeoutError, ValueError) as error:
            with contextlib.suppress(Exception):  # it never was a connection
                await client.close()
            raise self._cannot_connect(error) from error
        return client

    def _live(self) -> Client:
        if self._client is None:
            raise DestinationUnavailable(f"the connection to NATS at {self._host}:{self._port} was lost")
        return self._client

    async def _unless_gone(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of some work; nats-py itself would wait for an answer on a dead connection until the time is up."""
        task, gone = asyncio.ensure_future(work), asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not task.done():
                task.cancel()
        if not task.done():
            raise ConnectionError("the connection was closed")
        return task.result()

    async def _on_error(self, error: Exception) -> None:
        self._problem = str(error) or type(error).__name__
        _log.debug("nats: %s", self._problem)

    async def _on_gone(self) -> None:
        self._gone.set()

    def _lost(self, error: BaseException) -> DestinationUnavailable:
        reason = self._problem or str(error) or type(error).__name__
        return DestinationUnavailable(f"NATS at {self._host}:{self._port} did not answer: {reason}")

    def _cannot_connect(self, error: BaseException) -> DestinationUnavailable:
        where, said = f"NATS at {self._host}:{self._port}", f"{self._problem} {error}".lower()
        if "authorization" in said or "authentication" in said:
            hint = "give the file with the credentials: --credentials FILE"
            return DestinationUnavailable(f"{where} refuses the credentials", hint=hint)
        return DestinationUnavailable(
            f"{where} cannot be reached", hint="check host and port, and that the server runs"
        )


def _read_credentials(path: str | None) -> dict[str, Any]:
    """Connection options from a file: NATS' own .creds, or `user:password`, or a token."""
    if path is None:
        return {}
    text = read_credentials(path)
    if "-----BEGIN NATS USER JWT-----" in text:
        return {"user_credentials": path}
    user, colon, password = text.partition(":")
    return {"user": user, "password": password} if colon else {"token": text}
