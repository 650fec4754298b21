"""`registry lineage`: trees and tables."""

import json
import re
import shutil
import subprocess

import factories
import pytest
from cli_commands import Commands
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from registry.catalog.lineage_tree import LineageNode
from registry.cli.lineage import trees

BASE = "mistralai/Mistral-7B-v0.1"


@pytest.fixture
def family(commands: Commands, engine: Engine) -> Commands:
    r"""Lineage of all shapes: a child of two, a stub, a circle, a self-edge.

         base       lost (stub)
        /    \     /
      left    right      loop-a <-> loop-b      self -> self
        \    /   \
        joined    quant
    """
    with engine.begin() as connection:
        factories.stub(connection, "org/lost")
        for child, parent, relation in (
            ("org/left", "org/base", "finetune"),
            ("org/right", "org/base", "adapter"),
            ("org/right", "org/lost", "base_unknown"),
            ("org/joined", "org/left", "merge"),
            ("org/joined", "org/right", "merge"),
            ("org/quant", "org/right", "quantized"),
            ("org/loop-a", "org/loop-b", "finetune"),
            ("org/loop-b", "org/loop-a", "finetune"),
            ("org/self", "org/self", "finetune"),
        ):
            place = int(parent in {"org/lost", "org/right"})
            factories.edge(connection, child, parent, relation, position=place)
        for place, name in enumerate(("org/left", "org/right", "org/joined", "org/quant")):
            factories.counters(connection, name, downloads=100 - place)
    return commands


def test_tree(family: Commands) -> None:
    assert family.done("lineage", "show", "org/base") == (
        "org/base\n"
        "made from: nothing known\n"
        "made into:\n"
        "├─ org/left  (finetune)\n"
        "│  └─ org/joined  (merge)\n"
        "└─ org/right  (adapter)\n"
        "   ├─ org/joined  (merge, shown elsewhere)\n"
        "   └─ org/quant  (quantized)\n"
    )


def test_tree_upwards(family: Commands) -> None:
    assert family.done("lineage", "show", "org/joined", "--direction", "up") == (
        "org/joined\n"
        "made from:\n"
        "├─ org/left  (merge)\n"
        "│  └─ org/base  (finetune)\n"
        "└─ org/right  (merge)\n"
        "   ├─ org/base  (adapter, shown elsewhere)\n"
        "   └─ org/lost  (base_unknown, never seen)\n"
    )


def test_cycles_end(family: Commands) -> None:
    assert family.done("lineage", "show", "org/loop-a", "--direction", "down") == (
        "org/loop-a\n"
        "made into:\n"
        "└─ org/loop-b  (finetune)\n"
        "   └─ org/loop-a  (finetune, leads back: a cycle)\n"
    )


def test_a_model_that_names_itself_is_no_cycle(family: Commands) -> None:
    shown = family.done("lineage", "show", "org/self")
    assert "org/self  (finetune, names itself as its parent)" in shown
    assert "cycle" not in shown
    assert family.json("lineage", "show", "org/self")["made_from"][0]["mark"] == "self_edge"


def test_depth_and_branches_leave_a_count(family: Commands) -> None:
    shown = family.done("lineage", "show", "org/base", "--direction", "down", "--depth", "1")
    assert shown.splitlines()[-2:] == ["└─ org/right  (adapter)", "   └─ … and 2 more"]
    shown = family.done("lineage", "show", "org/base", "--direction", "down", "--branches", "1")
    assert shown.splitlines()[-1] == "└─ … and 1 more"
    assert "more" not in family.done("lineage", "show", "org/base", "--all", "--branches", "1")


def connect(connection: Connection, child: str, parent: str, number: int) -> None:
    """Make many edges; child and parent are SQL, of the numbers n from 1."""
    connection.execute(
        text(f"""
        WITH names AS (
            SELECT {child} AS child, {parent} AS parent FROM generate_series(1, {number}) AS n
        ), made AS (
            INSERT INTO store.models (name, state, first_seen, changed_at)
            SELECT child, 'available', now(), now() FROM names
             UNION SELECT parent, 'available', now(), now() FROM names
            RETURNING model_id, name
        )
        INSERT INTO store.edges (child_id, parent_id, relation, source, confidence, position)
        SELECT c.model_id, p.model_id, 'finetune', 'tag', 1, 0
          FROM names JOIN made c ON c.name = child JOIN made p ON p.name = parent""")
    )


def test_a_large_family_is_counted(commands: Commands, engine: Engine) -> None:
    with engine.begin() as connection:
        connect(connection, "'org/child-' || n", "'org/base'", 1244)
    shown = commands.done("lineage", "show", "org/base").splitlines()
    assert len(shown) == 14
    assert shown[-1] == "└─ … and 1,234 more"
    assert len(commands.done("lineage", "show", "org/base", "--all").splitlines()) == 1247


def test_a_long_chain(commands: Commands, engine: Engine) -> None:
    with engine.begin() as connection:
        connect(connection, "'org/g' || n", "'org/g' || n - 1", 299)
    assert len(commands.done("lineage", "show", "org/g0", "--all").splitlines()) == 302
    for form in ("mermaid", "dot"):
        assert "org/g299" in commands.done("lineage", "show", "org/g0", "--all", "--format", form)
    nested = commands.done("lineage", "show", "org/g0", "--all", "--format", "json")
    assert "org/g100" in nested
    assert '"more": 1' in nested
    assert len(commands.done("lineage", "ancestors", "org/g299").splitlines()) == 300


def test_json(family: Commands) -> None:
    shown = json.loads(family.done("lineage", "show", "org/right", "--format", "json"))
    assert shown == {
        "name": "org/right",
        "state": "available",
        "made_from": [
            {"name": "org/base", "state": "available", "relation": "adapter"},
            {"name": "org/lost", "state": "stub", "relation": "base_unknown"},
        ],
        "made_into": [
            {"name": "org/joined", "state": "available", "relation": "merge"},
            {"name": "org/quant", "state": "available", "relation": "quantized"},
        ],
    }


def test_mermaid(family: Commands) -> None:
    assert family.done("lineage", "show", "org/right", "--format", "mermaid") == (
        "flowchart TD\n"
        '    n0["org/right"]\n'
        '    n1["org/base"]\n'
        '    n2["org/lost"]:::missing\n'
        '    n3["org/joined"]\n'
        '    n4["org/quant"]\n'
        "    n1 -->|adapter| n0\n"
        "    n2 -->|base_unknown| n0\n"
        "    n0 -->|merge| n3\n"
        "    n0 -->|quantized| n4\n"
        "    classDef missing stroke-dasharray: 4 4\n"
    )


def test_dot(family: Commands) -> None:
    shown = family.done("lineage", "show", "org/right", "--format", "dot")
    assert '    n2 [label="org/lost", style=dashed];\n' in shown
    assert '    n1 -> n0 [label="adapter"];\n' in shown


names = st.text(min_size=1, max_size=20)
nodes = st.recursive(
    st.builds(LineageNode, names, st.sampled_from(["available", "stub"]), st.just("finetune")),
    lambda below: st.builds(
        LineageNode,
        names,
        st.just("available"),
        st.just("merge"),
        branches=st.lists(below, max_size=3),
        more=st.integers(0, 2000),
    ),
    max_leaves=8,
)

MERMAID = re.compile(
    r'flowchart TD|    n\d+\["([^"\[\]{}()|<>\n\\;]|#\d+;)*"\](:::missing)?'
    r"|    n\d+ -->(\|[a-z_]+\|)? n\d+"
    r'|    more\d+\["… and [\d,]+ more"\]:::more|    (more\d+ -\.-> n\d+|n\d+ -\.-> more\d+)'
    r"|    classDef \w+ [\w:, -]+"
)
DOT = re.compile(
    r'digraph lineage \{|    node \[shape=box, fontname="sans-serif"\];'
    r'|    \w+ \[label="([^"\\\n]|\\["\\])*"(, style=dashed|, shape=plaintext)?\];'
    r'|    \w+ -> \w+( \[(label="[a-z_]+"|style=dotted)\])?;|\}'
)


@given(nodes)
def test_any_name_makes_valid_mermaid(node: LineageNode) -> None:
    for line in trees.mermaid(node, node):
        assert MERMAID.fullmatch(line), line


@given(nodes)
def test_any_name_makes_valid_dot(node: LineageNode) -> None:
    for line in trees.dot(node, node):
        assert DOT.fullmatch(line), line


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_reads_it() -> None:
    text = "\n".join(trees.dot(None, LineageNode('a"\\N\n{x}', "stub", more=3)))
    subprocess.run(["dot", "-Tsvg"], input=text, text=True, check=True, capture_output=True)


@given(nodes)
def test_every_node_of_a_tree_is_one_line(node: LineageNode) -> None:
    def count(each: LineageNode) -> int:
        return sum(1 + count(below) for below in each.branches) + bool(each.more)

    lines = list(trees.lines(node))
    assert len(lines) == count(node)
    assert all(line.lead[-3:] in {"├─ ", "└─ "} for line in lines)


def test_ancestors_and_descendants(family: Commands) -> None:
    rows = family.json("lineage", "ancestors", "org/joined")
    assert [(row["ancestor"], row["depth"]) for row in rows] == [
        ("org/left", 1),
        ("org/right", 1),
        ("org/base", 2),
        ("org/lost", 2),
    ]
    quiet = ("--depth", "1", "--format", "quiet")
    assert family.done("lineage", "descendants", "org/base", *quiet) == "org/left\norg/right\n"
    result = family("lineage", "ancestors", "org/base")
    assert (result.exit_code, result.stderr) == (0, "No ancestor is known.\n")


def test_path(family: Commands) -> None:
    rows = family.json("lineage", "path", "org/quant", "ORG/left")
    assert [(row["model"], row["direction"]) for row in rows] == [
        ("org/quant", "start"),
        ("org/right", "up"),
        ("org/base", "up"),
        ("org/left", "down"),
    ]
    result = family("lineage", "path", "org/quant", "org/self")
    assert (result.exit_code, result.stderr) == (0, "They share no known ancestor.\n")


def test_check(family: Commands) -> None:
    counts = {row["problem"]: row["findings"] for row in family.json("lineage", "check")}
    assert counts["self_edge"] == 1
    assert counts["missing_parent"] == 1
    assert counts["license_drift"] == 0
    assert family.json("lineage", "check", "--problem", "missing_parent") == [
        {
            "model": "org/right",
            "parent": "org/lost",
            "detail": "the parent has never been seen in a listing",
        }
    ]


def test_check_says_that_there_is_more(sample: Commands) -> None:
    result = sample("lineage", "check", "--problem", "license_drift", "--limit", "2")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 3
    assert result.stderr == "There are more than 2; --limit shows them.\n"


def test_the_sample_has_a_tree(sample: Commands) -> None:
    shown = sample.done("lineage", "show", BASE, "--depth", "1", "--branches", "3")
    assert re.search(r"└─ … and \d+ more", shown)
