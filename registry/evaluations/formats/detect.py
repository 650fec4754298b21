"""Detection of a file's format, and its reader."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from registry.enums import ImportFormat
from registry.errors import UnreadableFileError, UsageError
from registry.evaluations.formats import archive, every_eval_ever, json_files, lm_eval, tables
from registry.evaluations.formats.hub import files as hub_eval_files
from registry.evaluations.records import Content, Notes

FORMATS: Mapping[str, str] = {
    ImportFormat.LM_EVAL: "results_*.json and samples_*.jsonl of lm-evaluation-harness",
    ImportFormat.EVERY_EVAL_EVER: "aggregates and instances of Every Eval Ever 0.3.0",
    ImportFormat.HUB: ".eval_results/*.yaml of a model's repository, model-index of its README.md",
    ImportFormat.REGISTRY: "manifest.json and its tables, as `registry evals export` writes",
    ImportFormat.TABLE: "Parquet, CSV or JSON lines (.gz too), by a mapping of columns",
}
"""Names of formats, with their files."""

_LARGEST_CARD = 5_000_000


class Reader:
    """Reader of files of evaluations, in a given format or the one that is detected."""

    def __init__(
        self, format_: str | None = None, mapping: str | None = None,
        roles: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Configure the reader.

        Args:
            format_: one of FORMATS for all files; None detects it.
            mapping: a preset's name, or the path of a YAML file; makes every file a table.
            roles: columns, over those of the mapping. Without one the tables are of outcomes, or of
                scores where there is a score, and neither an item nor an outcome.

        Raises:
            UsageError: there is no such format or mapping, or columns are given for another format.
        """
        if format_ is not None and format_ not in FORMATS:
            raise UsageError(f"There is no format {format_!r}; there are {', '.join(FORMATS)}.")
        if format_ not in {None, "table"} and (mapping or roles):
            raise UsageError(f"Only tables have columns to be mapped, not {format_}.")
        own = tables.load_mapping(mapping) if mapping is not None else None
        if roles:
            of_scores = "score" in roles and not {"item", "outcome", "layout"} & roles.keys()
            if own is None and of_scores:
                roles = {"layout": "scores", "item": "", "outcome": "", **roles}
            own = tables.override(own or tables.load_mapping("long"), dict(roles))
        self._format = "table" if own is not None else format_
        self._mapping = own
        self._detected: dict[Path, tables.TableMapping | None] = {}

    def format_of(self, path: Path) -> str | None:
        """Return the format of a file, None where none fits."""
        if self._format is not None:
            return self._format
        if archive.recognizes(path):
            return "registry"
        if lm_eval.recognizes(path):
            return "lm-eval"
        if every_eval_ever.recognizes(path):
            return "every-eval-ever"
        if hub_eval_files.recognizes(path) and _has_results(path):
            return "hub"
        return None if self._detect(path) is None else "table"

    def _detect(self, path: Path) -> tables.TableMapping | None:
        """Return the built-in mapping that fits a table's columns; None if there is none."""
        if not path.name.lower().removesuffix(".gz").endswith(tables.ENDINGS):
            return None
        if path not in self._detected:
            self._detected = {path: tables.detect(path)}
        return self._detected[path]

    def read(self, path: Path, format_: str, notes: Notes) -> Iterator[Content]:
        """Yield the contents of a file in a format.

        Raises:
            UnreadableFileError: the file is invalid; names the line or row, and the field.
        """
        match format_:
            case "lm-eval":
                yield from lm_eval.read(path, notes)
            case "every-eval-ever":
                yield from every_eval_ever.read(path, notes)
            case "hub":
                yield from hub_eval_files.read(path, notes)
            case "registry":
                yield from archive.read(path, notes)
            case _:
                mapping = self._mapping or self._detect(path)
                if mapping is None:
                    raise UsageError(self.unknown(path))
                yield from tables.read(path, mapping, notes)

    @staticmethod
    def unknown(path: Path) -> str:
        """Return the sentence for a file that no format fits."""
        return (
            f"The format of {path} cannot be detected from its name or its columns; name it by "
            f"--as ({', '.join(FORMATS)}), or its columns by --mapping "
            f"({', '.join(tables.presets())}, or a YAML file) or --column ROLE=COLUMN."
        )

    @staticmethod
    def without_parts(files: Sequence[Path]) -> list[Path]:
        """Return files without those that are read together with another of them.

        These are the instances of an aggregate, and the files that an archive's manifest lists.
        """
        archived = {
            part
            for path in files
            if archive.recognizes(path)
            for part in archive.listed_files(path)
        }
        files = [path for path in files if path.absolute() not in archived]
        if not any(".jsonl" in path.name for path in files):
            return files
        instances = {each for path in files if path.suffix == ".json" for each in _instances(path)}
        return [path for path in files if path.absolute() not in instances]


def _instances(path: Path) -> Iterator[Path]:
    if not every_eval_ever.recognizes(path):
        return
    try:
        content = json_files.document(path)
    except UnreadableFileError:
        return
    stated = content.get("detailed_evaluation_results") if isinstance(content, dict) else None
    file = stated.get("file_path") if isinstance(stated, dict) else None
    if isinstance(file, str):
        yield (path.absolute().parent / file).absolute()


def _has_results(path: Path) -> bool:
    """Tell whether a README.md has results in its front matter; most have none."""
    if path.name != "README.md":
        return True
    with path.open("rb") as file:
        return b"model-index:" in file.read(_LARGEST_CARD)
