"""Picking a line of a list on a terminal: type to narrow it down, arrows, Enter; Escape goes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prompt_toolkit import prompt as ask_line
from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import BufferControl, FormattedTextControl, HSplit, Layout, VSplit, Window
from prompt_toolkit.validation import Validator

__all__ = ["ask_value", "pick"]

KEYS = "arrows and Enter, or type to narrow down; Escape: back"
PAGE = 15
"""Lines shown at once."""


def pick(title: str, rows: Sequence[str]) -> int | None:
    """The place of the row that was picked; None for going back."""
    return _Picker(title, rows).run()


def ask_value(label: str, complaint: Callable[[str], str]) -> str | None:
    """A line of text that ``complaint`` finds nothing wrong with; None where nothing was typed, or on Ctrl-D."""

    def right(text: str) -> bool:
        return not text or not complaint(text)

    validator = Validator.from_callable(right, error_message=f"not a value of {label}", move_cursor_to_end=True)
    try:
        return ask_line(f"{label}: ", validator=validator, validate_while_typing=False).strip() or None
    except EOFError:
        return None


class _Picker:
    """The list, what narrows it down, and where the cursor stands."""

    def __init__(self, title: str, rows: Sequence[str]) -> None:
        self._title = title
        self._rows = rows
        self._place = 0
        self._filter = Buffer(multiline=False, on_text_changed=lambda _: self._home())

    def run(self) -> int | None:
        """Show it until something is picked."""
        list_window = Window(FormattedTextControl(self._lines), height=PAGE, dont_extend_height=True)
        prompt = Window(FormattedTextControl("> "), width=2, height=1)
        typed = VSplit([prompt, Window(BufferControl(self._filter), height=1)], height=1)
        title = FormattedTextControl([("bold", self._title), ("", f"  {KEYS}")])
        body = HSplit([Window(title, height=1), typed, list_window])
        application: Application[int | None] = Application(
            Layout(body, focused_element=self._filter), key_bindings=self._keys(), erase_when_done=True
        )
        return application.run()

    def _home(self) -> None:
        self._place = 0

    def _fitting(self) -> list[int]:
        words = self._filter.text.lower().split()
        return [n for n, row in enumerate(self._rows) if all(word in row.lower() for word in words)]

    def _lines(self) -> StyleAndTextTuples:
        fitting = self._fitting()
        first = max(0, self._place - PAGE + 1)
        lines: StyleAndTextTuples = []
        for number in range(first, min(first + PAGE, len(fitting))):
            style = "reverse" if number == self._place else ""
            lines.append((style, f"{self._rows[fitting[number]]}\n"))
        return lines or [("", "nothing fits\n")]

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        def move(step: int) -> None:
            self._place = max(0, min(self._place + step, len(self._fitting()) - 1))

        for key, step in (("up", -1), ("down", 1), ("pageup", -PAGE), ("pagedown", PAGE)):
            keys.add(key)(_mover(move, step))

        @keys.add("enter")
        def _enter(event: KeyPressEvent) -> None:
            fitting = self._fitting()
            if fitting:
                event.app.exit(result=fitting[self._place])

        @keys.add("escape", eager=True)
        @keys.add("c-c")
        @keys.add("c-d")
        def _leave(event: KeyPressEvent) -> None:
            event.app.exit(result=None)

        return keys


def _mover(move: Callable[[int], None], step: int) -> Callable[[KeyPressEvent], None]:
    def handle(_event: KeyPressEvent) -> None:
        move(step)

    return handle
