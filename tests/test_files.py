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
