"""Drawings of lineage trees: as text, Mermaid, Graphviz and plain dictionaries."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from registry.catalog.lineage_tree import LineageNode, links

MARKS = {
    "self_edge": "names itself as its parent",
    "cycle": "leads back: a cycle",
    "repeated": "shown elsewhere",
}

STATES = {"stub": "never seen", "gone": "gone", "disabled": "disabled", "private": "private"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a tree: the connectors before the name, the name, and a note on it."""

    lead: str
    name: str
    note: str = ""


def lines(root: LineageNode) -> Iterator[Line]:
    """Draw the branches below a root, the root itself not included."""
    # A stack, not recursion: a chain of fine-tunes may be longer than Python's recursion limit.
    pending = _stacked(root, "")
    while pending:
        node, lead, last = pending.pop()
        yield Line(f"{lead}{'└─ ' if last else '├─ '}", node.name, _note(node))
        pending += _stacked(node, f"{lead}{'   ' if last else '│  '}")


def _stacked(node: LineageNode, lead: str) -> list[tuple[LineageNode, str, bool]]:
    branches = list(node.branches)
    if node.more:
        branches.append(LineageNode(f"… and {node.more:,} more", "available"))
    return [(branch, lead, index == len(branches) - 1) for index, branch in enumerate(branches)][
        ::-1
    ]


def _note(node: LineageNode) -> str:
    parts = [node.relation or ""]
    if node.state in STATES:
        parts.append(STATES[node.state])
    if node.mark:
        parts.append(MARKS[node.mark])
    return ", ".join(each for each in parts if each)


def document(node: LineageNode) -> dict[str, Any]:
    """Return a tree as plain dictionaries."""
    content: dict[str, Any] = {"name": node.name, "state": node.state}
    if node.relation is not None:
        content["relation"] = node.relation
    if node.mark is not None:
        content["mark"] = node.mark
    if node.branches:
        content["branches"] = [document(branch) for branch in node.branches]
    if node.more:
        content["more"] = node.more
    return content


@dataclass(frozen=True, slots=True)
class _Graph:
    """Trees as nodes by identifier and edges from parent to child."""

    models: dict[str, tuple[str, str]]
    edges: dict[tuple[str, str], str]
    more: list[tuple[str, int, bool]]


def _graph(above: LineageNode | None, below: LineageNode | None) -> _Graph:
    graph = _Graph({}, {}, [])

    def identify(node: LineageNode) -> str:
        if node.name not in graph.models:
            graph.models[node.name] = (f"n{len(graph.models)}", node.state)
        return graph.models[node.name][0]

    for root, upwards in ((above, True), (below, False)):
        if root is None:
            continue
        identify(root)
        nodes = [root]
        for node, branch in links(root):
            nodes.append(branch)
            here, there = identify(node), identify(branch)
            edge = (there, here) if upwards else (here, there)
            graph.edges[edge] = branch.relation or ""
        graph.more.extend((identify(node), node.more, upwards) for node in nodes if node.more)
    return graph


def mermaid(above: LineageNode | None, below: LineageNode | None) -> Iterator[str]:
    """Draw a flowchart in Mermaid, parents at the top.

    Args:
        above: tree of what a model was made from, or None.
        below: tree of what was made from it, or None.
    """
    graph = _graph(above, below)
    yield "flowchart TD"
    for name, (key, state) in graph.models.items():
        yield f'    {key}["{_mermaid_text(name)}"]{":::missing" if state == "stub" else ""}'
    for (parent, child), relation in graph.edges.items():
        yield f"    {parent} -->|{relation}| {child}" if relation else f"    {parent} --> {child}"
    for number, (key, more, upwards) in enumerate(graph.more):
        yield f'    more{number}["… and {more:,} more"]:::more'
        yield f"    more{number} -.-> {key}" if upwards else f"    {key} -.-> more{number}"
    if any(state == "stub" for _, state in graph.models.values()):
        yield "    classDef missing stroke-dasharray: 4 4"
    if graph.more:
        yield "    classDef more stroke:none,fill:none"


def _mermaid_text(text: str) -> str:
    # Numeric entities: within quotes Mermaid reads everything else literally.
    return "".join(
        each if each.isalnum() or each in "/-_. :@+," else f"#{ord(each)};" for each in text
    )


def dot(above: LineageNode | None, below: LineageNode | None) -> Iterator[str]:
    """Draw a graph in Graphviz' language, parents at the top; arguments as for `mermaid`."""
    graph = _graph(above, below)
    yield "digraph lineage {"
    yield '    node [shape=box, fontname="sans-serif"];'
    for name, (key, state) in graph.models.items():
        style = ", style=dashed" if state == "stub" else ""
        yield f"    {key} [label={_dot_text(name)}{style}];"
    for (parent, child), relation in graph.edges.items():
        label = f" [label={_dot_text(relation)}]" if relation else ""
        yield f"    {parent} -> {child}{label};"
    for number, (key, more, upwards) in enumerate(graph.more):
        yield f"    more{number} [label={_dot_text(f'… and {more:,} more')}, shape=plaintext];"
        ends = (f"more{number}", key) if upwards else (key, f"more{number}")
        yield f"    {ends[0]} -> {ends[1]} [style=dotted];"
    yield "}"


def _dot_text(text: str) -> str:
    # A backslash begins an escape of Graphviz' own, such as \N for the node's name.
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'
