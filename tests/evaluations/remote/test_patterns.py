"""Patterns of paths: the folder that is listed, how deep, and which files fit."""

import pytest

from registry.evaluations.remote import patterns


@pytest.mark.parametrize(
    ("pattern", "folder", "is_flat", "fitting"),
    [
        ("*.csv", "", True, {"x.csv"}),
        ("a/*.csv", "a", True, {"a/y.csv"}),
        ("a/**", "a", False, {"a/y.csv", "a/b/z.csv"}),
        ("**", "", False, {"x.csv", "a/y.csv", "a/b/z.csv"}),
        ("**/*.csv", "", False, {"x.csv", "a/y.csv", "a/b/z.csv"}),
        ("a/*/z.csv", "a", False, {"a/b/z.csv"}),
        ("a/b/[yz].csv", "a/b", True, {"a/b/z.csv"}),
        ("?/y.csv", "", False, {"a/y.csv"}),
    ],
)
def test_patterns(pattern: str, folder: str, fitting: set[str], *, is_flat: bool) -> None:
    fits = patterns.matcher(pattern)
    assert {path for path in ("x.csv", "a/y.csv", "a/b/z.csv") if fits(path)} == fitting
    assert patterns.fixed_folder(pattern) == folder
    assert patterns.is_flat(pattern) is is_flat
    # What is listed has all that fits.
    prefix = f"{folder}/" if folder else ""
    assert all(path.startswith(prefix) for path in fitting)
    if is_flat:
        assert all("/" not in path.removeprefix(prefix) for path in fitting)
