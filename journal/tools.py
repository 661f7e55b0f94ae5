"""A function as a tool of an agent: each call is a step, and whoever calls it sees an ordinary function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal, get_args, get_type_hints

from journal.current import current_session
from journal.errors import UnknownKind, UnsupportedConnection
from journal.sessions import AgentSession, AsyncAgentSession
from journal.step_calls import RunOptions
from journal.steps import AsyncStep, Step

Kind = Literal["read", "idempotent", "reversible", "compensable", "irreversible"]


def tool(
    *,
    name: str | None = None,
    kind: Kind = "reversible",
    key: Callable[..., str] | None,
    arguments: Sequence[str],
    join: bool = False,
    returns: Literal["result", "envelope"] = "result",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function `fn(step, …)` a tool: a call without `step` runs it as a step of `current_session()`, once per key.

    The first parameter receives the step and is not part of the signature that callers and frameworks see. `name`: of the tool,
    default: the function's. `kind`: read (may not write), idempotent, reversible, compensable or irreversible. `key`: called with
    those of the call's arguments that it names, gives the key; None: no key, every call runs. `arguments`: names of the parameters
    that identify the effect. `join`: as of `AgentSession.step`.

    The tool returns what the function returned, as strict JSON gives it back; with `returns="envelope"` a dict of `result`,
    `receipt` (its id) and `replayed`. A replay does not run the function. A coroutine function needs an asynchronous session.

    Raises `UnknownKind` and `TypeError` when the function is decorated, `LookupError` where it is called outside a session, and
    what a step raises.
    """
    if kind not in get_args(Kind):
        raise UnknownKind(f"there is no kind of tool {kind!r}", hint=f"one of {', '.join(get_args(Kind))}")
    if returns not in {"result", "envelope"}:
        raise TypeError(f"a tool returns 'result' or 'envelope', not {returns!r}")
    if isinstance(arguments, str) or not all(isinstance(named, str) for named in arguments):
        raise TypeError(f"arguments is a list of parameter names, such as ['order_id'], not {arguments!r}")

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.isfunction(function) and not inspect.ismethod(function):
            raise TypeError(f"a tool is made of a function or method, not of {type(function).__name__}")
        called = _Tool(function, name or function.__name__, kind, key, tuple(arguments), join, returns)
        return called.asynchronous() if inspect.iscoroutinefunction(function) else called.synchronous()

    return decorate


@dataclass(frozen=True)
class _Tool:
    function: Callable[..., Any]
    name: str
    kind: Kind
    key: Callable[..., str] | None
    arguments: tuple[str, ...]
    join: bool
    returns: str

    def __post_init__(self) -> None:
        self._refuse_unknown("arguments", self.arguments)
        if self.key is not None:
            self._refuse_unknown("key", _named(self.key))

    def synchronous(self) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            given = self._given(args, kwargs)
            session = current_session()
            if not isinstance(session, AgentSession):
                raise self._mismatch("is a plain function, and the session is on an asynchronous connection")
            return self._answer(session.run(self.name, self._body(given), **self._options(given)))

        return self._dressed(call)

    def asynchronous(self) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            given = self._given(args, kwargs)
            session = current_session()
            if not isinstance(session, AsyncAgentSession):
                raise self._mismatch("is a coroutine function, and the session is on a synchronous connection")
            return self._answer(await session.run(self.name, self._body(given), **self._options(given)))

        return self._dressed(call)

    @functools.cached_property
    def _step_name(self) -> str:
        first = next(iter(inspect.signature(self.function).parameters.values()), None)
        if first is None or first.kind not in {first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD}:
            raise TypeError(f"the first parameter of the tool {self.name} receives the step")
        return first.name

    @functools.cached_property
    def _annotations(self) -> dict[str, Any]:
        """Resolved where the function stands, as far as that is possible by now. That of the step may be for type checkers only."""
        seen = {name: hint for name, hint in self.function.__annotations__.items() if name != self._step_name}
        try:
            found = get_type_hints(
                SimpleNamespace(__annotations__=seen),
                globalns=inspect.unwrap(self.function).__globals__,
                include_extras=True,
            )
        except NameError:
            found = seen
        return found | ({"return": dict[str, Any]} if self.returns == "envelope" else {})

    @functools.cached_property
    def _signature(self) -> inspect.Signature:
        """What callers see: everything but the step."""
        whole = inspect.signature(self.function)
        parameters = [
            parameter.replace(annotation=self._annotations.get(name, parameter.annotation))
            for name, parameter in whole.parameters.items()
            if name != self._step_name
        ]
        return whole.replace(
            parameters=parameters, return_annotation=self._annotations.get("return", whole.return_annotation)
        )

    def _dressed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        functools.update_wrapper(call, self.function)
        call.__annotations__ = dict(self._annotations)
        call.__signature__ = self._signature  # type: ignore[attr-defined]
        return call

    def _given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
        given = self._signature.bind(*args, **kwargs)
        given.apply_defaults()
        return given

    def _body(self, given: inspect.BoundArguments) -> Callable[[Step | AsyncStep], Any]:
        return lambda step: self.function(step, *given.args, **given.kwargs)

    def _options(self, given: inspect.BoundArguments) -> Any:
        options: RunOptions = {
            "arguments": {name: given.arguments[name] for name in self.arguments},
            "kind": self.kind,
            "join": self.join,
        }
        return {**options, "key": self._key_of(given)}

    def _key_of(self, given: inspect.BoundArguments) -> str | None:
        if self.key is None:
            return None
        return self.key(**{name: given.arguments[name] for name in _named(self.key)})

    def _answer(self, step: Step | AsyncStep) -> Any:
        if self.returns == "result":
            return step.result
        return {"result": step.result, "receipt": str(step.receipt), "replayed": step.replayed}

    def _refuse_unknown(self, option: str, names: Iterable[str]) -> None:
        unknown = [name for name in names if name not in self._signature.parameters]
        if unknown:
            raise TypeError(f"{option} of the tool {self.name} names {', '.join(unknown)}, which is no parameter of it")

    def _mismatch(self, why: str) -> UnsupportedConnection:
        return UnsupportedConnection(
            f"the tool {self.name} {why}", hint="plain functions and connections go together, and async ones"
        )


def _named(function: Callable[..., Any]) -> list[str]:
    """The parameters that a key function asks for."""
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        hint = "such as lambda order_id: f'order-{order_id}'"
        raise TypeError(f"key is a function of the tool's own parameters, {hint}, not {function!r}") from None


tool.__module__ = "journal"
