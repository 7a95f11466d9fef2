"""Which operation a method and a path name, and what it counts against."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from .call import Call, Reply
from .throttle import Limit

Handler = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    Attributes:
        method: its HTTP method.
        path: its template below /v1, parameters in braces.
        handle: what plays it.
        limits: what it counts against beside the instance's limit.
        exempt: whether it counts against nothing at all.
    """

    method: str
    path: str
    handle: Handler
    limits: tuple[Limit, ...] = ()
    exempt: bool = False

    @property
    def name(self) -> str:
        """How the report calls it: "POST /invitations"."""
        return f"{self.method} {self.path}"


class Router:
    """Finds routes by walking the segments of a path; a fixed segment goes before a parameter.

    Attributes:
        names: the names of all routes.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        self.names: set[str] = set()
        for route in routes:
            self.names.add(route.name)
            node = self._root
            for segment in _segments(route.path):
                node = node.child(segment)
            node.routes[route.method] = route

    def find(self, method: str, path: str) -> tuple[Route | None, dict[str, str], bool]:
        """The route, the values in an encoded path, and whether the path is known with some method."""
        found = self._root.find([unquote(segment) for segment in _segments(path)], 0, [])
        if found is None:
            return None, {}, False
        node, values = found
        route = node.routes.get(method)
        if route is None:
            return None, {}, True
        names = [segment[1:-1] for segment in _segments(route.path) if segment.startswith("{")]
        return route, dict(zip(names, values, strict=True)), True


class _Node:
    """The routes of one path, and the paths below it."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self._fixed: dict[str, _Node] = {}
        self._any: _Node | None = None

    def child(self, segment: str) -> "_Node":
        if not segment.startswith("{"):
            return self._fixed.setdefault(segment, _Node())
        self._any = self._any or _Node()
        return self._any

    def find(self, segments: list[str], place: int, values: list[str]) -> "tuple[_Node, list[str]] | None":
        if place == len(segments):
            return (self, values) if self.routes else None
        fixed = self._fixed.get(segments[place])
        found = fixed.find(segments, place + 1, values) if fixed else None
        if found is None and self._any is not None and segments[place]:
            found = self._any.find(segments, place + 1, [*values, segments[place]])
        return found


def _segments(path: str) -> list[str]:
    return path.strip("/").split("/")
