from registry.db.connection import setting

OWN, ANY = "REGISTRY_DATABASE_URL", "DATABASE_URL"


def test_the_first_setting_that_is_given_counts() -> None:
    environ = {ANY: "postgresql://host/any", OWN: "postgresql://host/own"}
    expected = [("--database-url", "flag"), (OWN, "own"), (ANY, "any"), ("embedded default", None)]
    found = [
        setting("postgresql://host/flag", environ),
        setting(None, environ),
        setting(None, {**environ, OWN: ""}),
        setting(None, {}),
    ]
    assert [(each.origin, each.url and each.url.database) for each in found] == expected
