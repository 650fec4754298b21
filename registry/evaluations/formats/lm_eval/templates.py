"""Jinja templates of tasks: rendered with a document, in a sandbox and within limits.

Templates come from files of other people. Only expressions over the document are rendered: what
could run long, fill memory or reach beyond the document is refused before it runs.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from jinja2 import StrictUndefined, Template, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST_TEMPLATE = 20_000
"""Characters of a template that is rendered."""

LONGEST_TEXT = 4_000_000
"""Characters of a rendered text, and of any part of it that grows."""

_NODES = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.Tuple),
    *(nodes.List, nodes.Dict, nodes.Pair, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter),
    *(nodes.Test, nodes.Call, nodes.If, nodes.For, nodes.CondExpr, nodes.Compare, nodes.Operand),
    *(nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Add, nodes.Sub, nodes.Keyword),
)
"""Neither assignments nor products nor concatenation by ~: repeated, they grow without a limit."""

_METHODS = frozenset(
    {"strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "partition", "rpartition"}
    | {"replace", "join", "lower", "upper", "title", "capitalize", "startswith", "endswith"}
    | {"removeprefix", "removesuffix", "find", "index", "count", "get", "keys", "values", "items"}
)
_FILTERS = frozenset(
    {"trim", "replace", "join", "lower", "upper", "title", "capitalize", "first", "last", "length"}
    | {"count", "int", "float", "default", "d", "list"}
)
_LONGEST_RANGE = 1_000


def rendered(template: str, document: Mapping[str, object]) -> str | None:
    """Return a template's text with a document; None where it cannot be rendered.

    A template that is the name of a field is that field, as lm-eval takes it.
    """
    if isinstance(field := document.get(template), str):
        return field
    compiled = _compiled(template)
    if compiled is None:
        return None
    parts: list[str] = []
    length = 0
    try:
        for part in compiled.generate(document):
            length += len(part)
            if length > LONGEST_TEXT:
                return None
            parts.append(part)
    except (TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError,
            ValueError):  # fmt: skip
        return None
    return "".join(parts)


class _Environment(ImmutableSandboxedEnvironment):
    """Environment of lm-eval's templates, where texts do not grow beyond a limit."""

    intercepted_binops = frozenset({"+"})

    def call_binop(self, context: object, operator: str, left: object, right: object) -> object:
        """Add after checking the length of the sum."""
        if isinstance(left, str | list) and isinstance(right, str | list):
            _check(len(left) + len(right))
        return super().call_binop(context, operator, left, right)  # type: ignore[arg-type]

    def call(self, context: object, called: object, /, *args: object, **kwargs: object) -> object:
        """Call a method of a text after checking the length of its result."""
        owner = getattr(called, "__self__", None)
        name = getattr(called, "__name__", "")
        if isinstance(owner, str) and name == "replace":
            return _replaced(owner, *args, **kwargs)
        if isinstance(owner, str) and name == "join":
            return _joined(args[0] if args else (), owner)
        return super().call(context, called, *args, **kwargs)  # type: ignore[arg-type]


def _check(length: int) -> None:
    if length > LONGEST_TEXT:
        raise SecurityError("a text grows too long")


def _replaced(value: object, old: object = "", new: object = "", count: object = -1) -> str:
    if not (isinstance(value, str) and isinstance(old, str) and isinstance(new, str)):
        raise SecurityError("only texts are replaced")
    _check(len(value) + value.count(old) * max(len(new) - len(old), 0))
    return value.replace(old, new, count if isinstance(count, int) else -1)


def _joined(values: object, separator: object = "") -> str:
    if not isinstance(values, Iterable) or not isinstance(separator, str):
        raise SecurityError("only texts are joined")
    parts = list(values)
    if not all(isinstance(part, str | int | float) for part in parts):
        raise SecurityError("only texts are joined")
    texts = [str(part) for part in parts]
    _check(sum(map(len, texts)) + len(texts) * len(separator))
    return separator.join(texts)


def _range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > _LONGEST_RANGE:
        raise SecurityError("a range is too long")
    return numbers


def _environment() -> _Environment:
    # One trailing newline is cut as by lm-eval before 0.4.9; texts are compared without it.
    environment = _Environment(undefined=StrictUndefined, autoescape=False)
    environment.globals = {"range": _range}
    environment.filters = {
        name: function for name, function in environment.filters.items() if name in _FILTERS
    } | {"replace": _replaced, "join": _joined}
    return environment


@lru_cache(maxsize=64)
def _compiled(template: str) -> Template | None:
    """Return a compiled template; None if it is none, or uses more than is allowed."""
    if len(template) > LONGEST_TEMPLATE:
        return None
    environment = _environment()
    try:
        tree = environment.parse(template)
        if not _is_allowed(tree):
            return None
        return environment.from_string(template)
    except (TemplateError, RecursionError, SyntaxError, ValueError, MemoryError):
        return None


def _is_allowed(tree: nodes.Template) -> bool:
    pending: list[tuple[nodes.Node, bool]] = [(tree, False)]
    while pending:
        node, in_loop = pending.pop()
        if not isinstance(node, _NODES):
            return False
        if isinstance(node, nodes.For):
            if in_loop or node.recursive:
                return False  # loops in loops run long
            in_loop = True
        if isinstance(node, nodes.Call):
            called = node.node
            named = called.attr if isinstance(called, nodes.Getattr) else None
            is_range = isinstance(called, nodes.Name) and called.name == "range"
            if named not in _METHODS and not is_range:
                return False
        pending.extend((child, in_loop) for child in node.iter_child_nodes())
    return True
