import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a wheel built from the tree holds, laid out as pip does, away from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    site = folder / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def run(site: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=site.parent,
        env={**os.environ, "PYTHONPATH": str(site), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_revisions_sql_jobs_and_the_sample_travel_in_the_wheel(installed: Path) -> None:
    inside = {str(path.relative_to(installed)) for path in installed.rglob("*")}
    for folder in ("migrations", "jobs"):
        for path in (ROOT / folder).rglob("*.py"):
            assert f"registry/{folder}/{path.relative_to(ROOT / folder)}" in inside
    for path in [*(ROOT / "registry").rglob("*.sql"), *(ROOT / "registry/demo/data").iterdir()]:
        assert str(path.relative_to(ROOT)) in inside


@pytest.mark.long
def test_the_demo_runs_from_the_wheel(installed: Path, own_server: Path) -> None:
    result = run(installed, "-m", "registry", "demo", "--directory", str(own_server))
    assert result.returncode == 0, result.stdout + result.stderr
    # Counts, a family tree, a search, what is alike, growth, logs and scores that are made up,
    # and where to go from here.
    for shown in (
        "380",
        "├─ Open-Orca/Mistral-7B-OpenOrca  (finetune)",
        "mistralai/Mixtral-8x7B-Instruct-v0.1",
        "HuggingFaceH4/zephyr-7b-alpha",
        "more than a month ago",
        "all made up here",
        "\nmistralai__Mistral-7B-v0.1/results_2025-07-01T12-00-00.json ",
        "demo-sums %",
        "Now try these yourself",
    ):
        assert shown in result.stdout
    again = run(installed, "-m", "registry", "demo", "--directory", str(own_server))
    assert again.returncode == 0, again.stdout + again.stderr


def test_jobs_run_from_the_wheel(installed: Path, database_url: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "registry.jobs.sync"],
        cwd=installed.parent,
        env={
            **os.environ,
            "PYTHONPATH": str(installed),
            "REGISTRY_DATABASE_URL": database_url,
            "HF_HUB_OFFLINE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("Error: HF_HUB_OFFLINE is set")
