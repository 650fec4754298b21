"""Function `registry.license_class` and column `models.license_class`."""

import factories
import pytest
from factories import rows
from sqlalchemy import Connection

from registry.enums import LicenseClass
from registry.hub.records import ModelRecord, parse_record

CLASSES = {
    "permissive": """apache-2.0 mit afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause
        bsd-3-clause-clear cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cdla-permissive-1.0
        cdla-permissive-2.0 wtfpl ecl-2.0 etalab-2.0 isc ms-pl apple-ascl odc-by openmdw-1.0
        postgresql ofl-1.1 ncsa unlicense zlib pddl""",
    "weak copyleft": """epl-1.0 epl-2.0 eupl-1.1 eupl-1.2 lgpl lgpl-2.1 lgpl-3.0 lppl-1.3c mpl-2.0
        lgpl-lr""",
    "copyleft": """cc-by-sa-3.0 cc-by-sa-4.0 cdla-sharing-1.0 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0
        odbl osl-3.0""",
    "non-commercial": """cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
        cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 h-research intel-research apple-amlr
        deepfloyd-if-license fair-noncommercial-research-license""",
    "custom": """openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0
        bigcode-openrail-m c-uda cc-by-nd-4.0 openrail++ llama2 llama3 llama3.1 llama3.2 llama3.3
        llama4 grok2-community gemma other""",
    "unknown": "cc unknown",
}
"""All identifiers that the Hub lists (huggingface.co/docs/hub/repositories-licenses)."""


@pytest.mark.parametrize("expected", CLASSES)
def test_every_identifier_of_the_hub(connection: Connection, expected: str) -> None:
    query = "SELECT registry.license_class(:id)"
    for identifier in CLASSES[expected].split():
        for spelling in (identifier, identifier.upper(), f" {identifier} "):
            assert rows(connection, query, id=spelling) == [(expected,)], spelling


def test_the_classes_are_those_of_the_enumeration() -> None:
    assert {each.value for each in LicenseClass} == CLASSES.keys()


def test_all_are_there() -> None:
    listed = [each for several in CLASSES.values() for each in several.split()]
    assert len(listed) == len(set(listed)) == 82


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("GPL-3.0-or-later", "copyleft"),
        ("LGPL-3.0-only", "weak copyleft"),
        ("Llama 3.1", "custom"),
        ("flux-1-dev-non-commercial-license", "non-commercial"),
        ("qwen-research", "non-commercial"),
        ("mit-something-else", "unknown"),
        ("emit", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_other_spellings(connection: Connection, spelling: str | None, expected: str) -> None:
    query = "SELECT registry.license_class(CAST(:id AS text))"
    assert rows(connection, query, id=spelling) == [(expected,)]


@pytest.mark.parametrize(
    ("license_", "name", "expected"),
    [
        ("mit", None, "permissive"),
        ("other", None, "custom"),
        ("other", "mrl", "non-commercial"),
        ("other", "apache-2.0", "permissive"),
        ("other", "somebodys-terms", "custom"),
        (None, "mit", "unknown"),
    ],
)
def test_classes_of_models(
    connection: Connection, license_: str | None, name: str | None, expected: str
) -> None:
    factories.model(connection, "org/a", license=license_, license_name=name)
    query = "SELECT license_class FROM registry.models"
    assert rows(connection, query) == [(expected,)]


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        ("apache-2.0; mit", "permissive"),
        ("mit; cc-by-nc-4.0", "non-commercial"),
        ("cc-by-nc-4.0;mit", "non-commercial"),
        ("mit; lgpl-3.0; gpl-3.0", "copyleft"),
        ("apache-2.0; llama3", "custom"),
        ("apache-2.0; somebodys-terms", "unknown"),
        ("llama3; somebodys-terms", "unknown"),
    ],
)
def test_of_several_licences_the_one_that_asks_most(
    connection: Connection, licences: str, expected: str
) -> None:
    query = "SELECT registry.license_class(:several)"
    assert rows(connection, query, several=licences) == [(expected,)]
    record = parse_record({"id": "org/a", "cardData": {"license": licences.split(";")}})
    assert isinstance(record, ModelRecord)
    factories.model(
        connection, "org/a", license=record.license, license_name=record.license_name
    )  # fmt: skip
    classes = "SELECT license, license_class FROM registry.models"
    assert rows(connection, classes) == [(licences.partition(";")[0], expected)]


def test_one_licence_in_a_list_has_no_other_name() -> None:
    for listed in (["mit"], ["mit", "MIT"], "mit"):
        record = parse_record({"id": "org/a", "cardData": {"license": listed}})
        assert isinstance(record, ModelRecord)
        assert (record.license, record.license_name) == ("mit", None)
