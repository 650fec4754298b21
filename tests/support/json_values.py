"""JSON of any shape, for property tests."""

from hypothesis import strategies as st

TEXT = st.text(max_size=6) | st.sampled_from(["\0", "\ud800", "50%", "acme/a", "x" * 300])
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
ANY = SCALAR | st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=3,
)
