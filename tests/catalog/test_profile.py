from evaluated import block, run, write
from factories import edge
from sqlalchemy import Connection

from registry.catalog.profile import read_profile


def test_children_count_once_for_each_relation(connection: Connection) -> None:
    for source in ("tag", "merge_config"):
        edge(connection, "org/merge", "org/base", "merge", source=source)
    edge(connection, "org/merge", "org/base", "finetune", source="card")
    for name in ("org/a", "org/b"):
        edge(connection, name, "org/base", "finetune")
    edge(connection, "org/base", "org/base", "finetune")
    children = read_profile(connection, "org/base", similar=0).children
    assert list(children.items()) == [("finetune", 3), ("merge", 1)]


def test_scores_are_in_the_order_of_what_they_say(connection: Connection) -> None:
    """Benchmarks of most models first; tasks of a group after all others, though they are many."""
    tasks = [f"suite_task{number}" for number in range(3)]
    subjects = [f"exam-subject{number:02}" for number in range(10)]
    models = {"usual": 5, "suite": 3, "suite_pro": 4, "rare": 1, **dict.fromkeys(tasks, 2)}
    models |= dict.fromkeys(subjects, 3)
    for name, count in models.items():
        write(
            connection, block(name, *(run(f"org/m{number}", score=0.5) for number in range(count)))
        )
    names = [row["benchmark"] for row in read_profile(connection, "org/m0", similar=0).scores]
    assert names == ["usual", "suite_pro", "suite", "rare", *subjects, *tasks]
