"""One viewer of the dashboard without a browser: it speaks Streamlit's protocol over a WebSocket.

A browser draws what it receives and fetches pictures besides; the server's work for a rerun is the same. So thirty of
these fit beside the server they visit, where thirty browsers would not.
"""

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect

TIMEOUT_S = 60.0
LARGEST_MESSAGE = 256 * 2**20
# Widgets that a viewer plays with, by the name of the message's field.
TOGGLES = ("multiselect", "button_group", "selectbox", "checkbox")
FINISHED = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)
# What starts long work or leaves the page is not browsing, and a room has one projector.
LEFT_ALONE = ("train", "measure", "download", "explain", "case", "projector")


@dataclass(frozen=True)
class Reaction:
    """One request and how long it took until the page was whole.

    Attributes:
        action: "open", "browse" or "toggle".
        page: Path of the page in the address; empty for the first.
        seconds: From sending to the end of the rerun.
        error: What went wrong; empty where nothing did.
        ended: Seconds of the monotonic clock.
    """

    action: str
    page: str
    seconds: float
    error: str = ""
    ended: float = field(default_factory=time.monotonic)


class Viewer:
    """A reader who opens the dashboard, then browses and toggles at random."""

    def __init__(self, address: str, seed: int, timeout_s: float = TIMEOUT_S) -> None:
        """Prepare a viewer; `address` is that of the WebSocket."""
        self.address = address
        self.timeout_s = timeout_s
        self.random = random.Random(seed)
        self.pages: dict[str, str] = {}
        self.page = ""
        self.query = ""
        self.fragment = ""
        self.widgets: dict[str, tuple[str, Any, str]] = {}
        self.states: dict[str, WidgetState] = {}
        self.reactions: list[Reaction] = []

    async def run(self, until: float, think_s: tuple[float, float]) -> None:
        """Open the dashboard and use it until that moment of the monotonic clock; every failure becomes a reaction."""
        action = "open"
        try:
            async with connect(self.address, subprotocols=["streamlit"], max_size=LARGEST_MESSAGE) as socket:  # type: ignore[list-item]
                await self._react(socket, action)
                while time.monotonic() < until:
                    await asyncio.sleep(self.random.uniform(*think_s))
                    action = "browse" if self.random.random() < 0.5 or not self.widgets else "toggle"
                    self._browse() if action == "browse" else self._toggle()
                    await self._react(socket, action)
        except TimeoutError:
            self.reactions.append(Reaction(action, self.page, 0.0, f"no answer within {self.timeout_s:g} s"))
        except Exception as error:
            self.reactions.append(Reaction(action, self.page, 0.0, f"{type(error).__name__}: {error}"))

    async def tour(self) -> None:
        """Open the dashboard and every page of it once, as a teacher does before the class; failures as in `run`."""
        page = ""
        try:
            async with connect(self.address, subprotocols=["streamlit"], max_size=LARGEST_MESSAGE) as socket:  # type: ignore[list-item]
                await self._react(socket, "open")
                for page in list(self.pages):
                    self._go(page)
                    await self._react(socket, "browse")
        except TimeoutError:
            self.reactions.append(Reaction("browse", page, 0.0, f"no answer within {self.timeout_s:g} s"))
        except Exception as error:
            self.reactions.append(Reaction("browse", page, 0.0, f"{type(error).__name__}: {error}"))

    def _browse(self) -> None:
        self._go(self.random.choice([page for page in self.pages if page != self.page]))

    def _go(self, page: str) -> None:
        """Choose a page; a browser keeps the widgets of the old one out of its request."""
        self.page = page
        self.query = ""
        self.fragment = ""
        self.states = {}
        self.widgets = {}

    def _toggle(self) -> None:
        """Change one widget of the page to another of its values; one in a fragment asks for that alone to be drawn."""
        widget_id = self.random.choice(list(self.widgets))
        kind, message, self.fragment = self.widgets[widget_id]
        state = WidgetState(id=widget_id)
        if kind == "checkbox":
            before = self.states[widget_id].bool_value if widget_id in self.states else message.default
            state.bool_value = not before
        elif kind == "selectbox":
            state.string_value = self.random.choice(list(message.options))
        else:
            options = [option if isinstance(option, str) else option.content for option in message.options]
            several = kind == "multiselect" or message.click_mode == message.MULTI_SELECT
            number = self.random.randint(1, min(6, len(options))) if several else 1
            state.string_array_value.data.extend(self.random.sample(options, number))
        self.states[widget_id] = state

    async def _react(self, socket: ClientConnection, action: str) -> None:
        """Ask for a rerun and read until it is whole."""
        request = BackMsg()
        client = request.rerun_script
        client.query_string = self.query
        client.fragment_id = self.fragment
        client.page_script_hash = self.pages.get(self.page, "")
        client.context_info.color_scheme = "light"
        client.widget_states.widgets.extend(self.states.values())
        start = time.monotonic()
        self.widgets = {
            key: widget for key, widget in self.widgets.items() if self.fragment and widget[2] != self.fragment
        }
        await socket.send(request.SerializeToString())
        error = await asyncio.wait_for(self._read(socket), self.timeout_s)
        self.reactions.append(Reaction(action, self.page, time.monotonic() - start, error))

    async def _read(self, socket: ClientConnection) -> str:
        """Read one rerun to its end; return the first error that the page shows, empty for none."""
        error = ""
        async for data in socket:
            message = ForwardMsg.FromString(data if isinstance(data, bytes) else data.encode())
            kind = message.WhichOneof("type")
            if kind == "navigation":
                self.pages = {page.url_pathname: page.page_script_hash for page in message.navigation.app_pages}
                by_hash = {page_hash: path for path, page_hash in self.pages.items()}
                self.page = by_hash.get(message.navigation.page_script_hash, self.page)
            elif kind == "page_info_changed":
                self.query = message.page_info_changed.query_string
            elif kind == "page_not_found":
                error = error or f"page {self.page!r} not found"
            elif kind == "delta":
                for element in _elements(message):
                    error = error or self._note(element, message.delta.fragment_id)
            elif kind == "script_finished" and message.script_finished in FINISHED:
                return error
            elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                return error or "the page does not compile"
        return error or "the server closed the connection"

    def _note(self, element: Element, fragment: str) -> str:
        """Remember a widget that can be toggled; return the message of an exception that the page shows."""
        kind = element.WhichOneof("type") or ""
        if kind == "exception":
            return f"{element.exception.type}: {element.exception.message}"[:300]
        if kind in TOGGLES:
            message = getattr(element, kind)
            is_left_alone = any(word in message.id for word in LEFT_ALONE)
            if not message.disabled and not is_left_alone and (kind == "checkbox" or len(message.options)):
                self.widgets[message.id] = (kind, message, fragment)
        return ""


def _elements(message: ForwardMsg) -> Iterator[Element]:
    if message.delta.WhichOneof("type") == "new_element":
        yield message.delta.new_element
