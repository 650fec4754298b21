"""Table of scores: one scale of each benchmark."""

from registry.prediction.scores import table

Rows = list[tuple[int, int, int, float, bool | None]]


def scores(count: int) -> Rows:
    return [(model, 1, 1, 0.5, True) for model in range(count)]


def test_of_two_scales_that_of_more_scores_is_taken() -> None:
    shares, raw = ("b", "", True), ("b", "", False)
    for counts, expected in (
        ((6, 7), [raw]),
        ((7, 6), [shares]),
        # Of as many, the one without bounds: it comes first.
        ((6, 6), [raw]),
        ((5, 4), [shares]),
        ((4, 5), [raw]),
        ((4, 4), []),
    ):
        grouped = {shares: scores(counts[0]), raw: scores(counts[1])}
        assert table._one_scale(grouped) == expected
    # Versions are benchmarks of their own.
    both = {shares: scores(5), ("b", "2", True): scores(6)}
    assert sorted(table._one_scale(both)) == sorted(both)
