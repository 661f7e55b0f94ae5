"""A tool in the frameworks that agents are built with: the schema that they make of it, and a call through them.

Against the libraries themselves. None of them may see the `step` parameter, and a call that they repeat takes effect once.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import agents
import fastapi
import mcp
import psycopg
import pytest
from agents.tool_context import ToolContext
from fastapi.testclient import TestClient
from langchain_core.messages import AIMessage
from langchain_core.tools import StructuredTool
from langgraph.graph import MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from mcp.server.mcpserver import MCPServer

import journal
from tests.journal.steps.support import note, one

NOTES = "create table notes (id bigint generated always as identity primary key, note text)"
SCHEMA = {"order_id": "integer", "reason": "string"}
Call = Callable[[Callable[..., Any]], Coroutine[Any, Any, str]]


@journal.tool(key=lambda order_id: f"order-{order_id}", arguments=["order_id"])
def refund(step: journal.Step, order_id: int, reason: str = "") -> dict[str, Any]:
    """Refund an order."""
    note(step.conn, reason)
    return {"refunded": order_id}


@journal.tool(name="refund", key=lambda order_id: f"order-{order_id}", arguments=["order_id"])
async def refund_soon(step: journal.AsyncStep, order_id: int, reason: str = "") -> dict[str, Any]:
    """Refund an order."""
    await step.conn.execute("insert into notes (note) values (%s)", (reason,))
    return {"refunded": order_id}


async def in_openai_agents(function: Callable[..., Any]) -> str:
    tool = agents.function_tool(function, failure_error_function=None)
    assert _types(tool.params_json_schema) == SCHEMA
    assert tool.description == "Refund an order."
    given = json.dumps({"order_id": 42, "reason": "broken"})
    context = ToolContext(context=None, tool_name=tool.name, tool_call_id="1", tool_arguments=given)
    return json.dumps(await tool.on_invoke_tool(context, given))


async def in_langchain(function: Callable[..., Any]) -> str:
    given = {"order_id": 42, "reason": "broken"}
    if function is refund_soon:
        tool = StructuredTool.from_function(coroutine=function)
        answer = await tool.ainvoke(given)
    else:
        tool = StructuredTool.from_function(function)
        answer = tool.invoke(given)
    assert _types(tool.get_input_jsonschema()) == SCHEMA
    return json.dumps(answer)


async def in_langgraph(function: Callable[..., Any]) -> str:
    call = {"name": function.__name__, "args": {"order_id": 42, "reason": "broken"}, "id": "1", "type": "tool_call"}
    graph = StateGraph(MessagesState).add_node("tools", ToolNode([function])).set_entry_point("tools").compile()
    answer = await graph.ainvoke({"messages": [AIMessage("", tool_calls=[call])]})
    return str(answer["messages"][-1].content)


async def in_mcp(function: Callable[..., Any]) -> str:
    server = MCPServer("shop")
    server.tool()(function)
    (tool,) = await server.list_tools()
    assert _types(tool.input_schema) == SCHEMA
    answer: Any = await server.call_tool(function.__name__, {"order_id": 42, "reason": "broken"})
    return str(answer.content[0].text)


FRAMEWORKS = [in_openai_agents, in_langchain, in_langgraph, in_mcp]


def in_a_module_of_its_own() -> Any:
    """As in modules that import the type of the step for type checkers only."""
    names: dict[str, Any] = {"note": note, "Any": Any}
    source = """
from __future__ import annotations
def refund(step: for_type_checkers.Step, order_id: int, reason: str = "") -> dict[str, Any]:
    "Refund an order."
    note(step.conn, reason)
    return {"refunded": order_id}
"""
    exec(source, names)  # noqa: S102  the module
    return names["refund"]


def _types(schema: dict[str, Any]) -> dict[str, str]:
    return {name: described["type"] for name, described in schema["properties"].items()}


@pytest.mark.parametrize("call", FRAMEWORKS)
async def test_a_plain_function(call: Call, conn: psycopg.Connection) -> None:
    conn.execute(NOTES)
    with journal.open_session(conn, agent="bot"):
        for _ in range(2):
            assert json.loads(await call(refund)) == {"refunded": 42}
    assert one(conn, "select array_agg(note) from notes") == ["broken"]


@pytest.mark.parametrize("call", FRAMEWORKS)
async def test_the_type_of_the_step_is_nobodys_business(call: Call, conn: psycopg.Connection) -> None:
    conn.execute(NOTES)
    tool = journal.tool(key=lambda order_id: f"order-{order_id}", arguments=["order_id"])(in_a_module_of_its_own())
    with journal.open_session(conn, agent="bot"):
        assert json.loads(await call(tool)) == {"refunded": 42}


@pytest.mark.parametrize("call", FRAMEWORKS)
async def test_a_coroutine_function(call: Call, conn: psycopg.Connection, aconn: psycopg.AsyncConnection) -> None:
    conn.execute(NOTES)
    async with journal.open_session(aconn, agent="bot"):
        for _ in range(2):
            assert json.loads(await call(refund_soon)) == {"refunded": 42}
    assert one(conn, "select array_agg(note) from notes") == ["broken"]


async def test_a_server_of_mcp_has_its_session_in_its_lifespan(conn: psycopg.Connection, dsn: str) -> None:
    conn.execute(NOTES)

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        async with (
            await psycopg.AsyncConnection.connect(dsn) as connected,
            journal.open_session(connected, agent="bot"),
        ):
            yield

    server = MCPServer("shop", lifespan=lifespan)
    server.tool()(refund_soon)
    async with mcp.Client(server) as client:
        for _ in range(2):
            answer = await client.call_tool("refund_soon", {"order_id": 42, "reason": "broken"})
            assert answer.structured_content == {"refunded": 42}
    assert one(conn, "select array_agg(note) from notes") == ["broken"]


def test_an_endpoint_of_fastapi(conn: psycopg.Connection, dsn: str) -> None:
    """The session is opened by a dependency of the endpoint's own task, and spans requests by its run_id."""
    conn.execute(NOTES)
    app = fastapi.FastAPI()

    async def session(run: str) -> AsyncIterator[None]:
        async with await psycopg.AsyncConnection.connect(dsn) as connected:
            opened = await journal.open_session(connected, agent="bot", run_id=run)
            async with journal.resume_session(connected, opened.id):  # leaving it does not close it
                yield

    app.post("/refund", dependencies=[fastapi.Depends(session)])(refund_soon)
    with TestClient(app) as client:
        parameters = client.get("/openapi.json").json()["paths"]["/refund"]["post"]["parameters"]
        assert [parameter["name"] for parameter in parameters] == ["order_id", "reason", "run"]
        for _ in range(2):
            answer = client.post("/refund", params={"order_id": 42, "reason": "broken", "run": "ticket-1"})
            assert (answer.status_code, answer.json()) == (200, {"refunded": 42})
    assert one(conn, "select array_agg(note) from notes") == ["broken"]
    assert one(conn, "select count(distinct session_id) from journal.steps") == 1
