"""Labels: what the classification headers of a request say."""

import pytest
from lockgate.policy.deciding.labels import read_labels
from lockgate.policy.spec.model_router import Classification

ALL = {"pii", "phi"}


@pytest.mark.parametrize(
    ("fields", "names", "unrecognised"),
    [
        ((), set(), False),
        (("public",), {"public"}, False),
        (("pii",), {"pii"}, False),
        (("PII , Internal",), {"pii", "internal"}, False),
        (("public", "phi"), {"public", "phi"}, False),
        (("",), ALL, True),
        (("public,",), ALL | {"public"}, True),
        (("pubilc",), ALL, True),
        (("pii;q=1",), ALL, True),
        ((",".join(["public"] * 100),), {"public"}, False),
    ],
)
def test_labels_of_header_fields(
    fields: tuple[str, ...], names: set[str], unrecognised: bool
) -> None:
    labels = read_labels(fields, Classification())
    assert labels.names == names
    assert labels.unrecognised is unrecognised
    assert labels.sensitive is bool(names & ALL)
