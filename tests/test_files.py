from pathlib import Path

import pytest

from registry.errors import UsageError
from registry.files import new_file


def test_a_link_to_nothing_is_not_overwritten(tmp_path: Path) -> None:
    link = tmp_path / "vectors.npz"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="There is a file"), new_file(link):
        pytest.fail("it began")
    assert link.is_symlink()


def test_a_file_with_a_long_name_has_its_suffix_while_it_is_written(tmp_path: Path) -> None:
    target = tmp_path / f"{'v' * 200}.parquet"
    with new_file(target) as place:
        assert place.suffix == ".parquet"
    assert target.is_file()


def test_what_another_process_writes_stays_and_what_a_killed_one_left_goes(tmp_path: Path) -> None:
    target, left = tmp_path / "vectors.npz", tmp_path / ".partial-0123abcd-vectors.npz"
    left.touch()
    with new_file(target) as first:
        assert not left.exists()
        with pytest.raises(KeyboardInterrupt), new_file(target):
            raise KeyboardInterrupt
        assert first.exists()
    assert target.is_file()
