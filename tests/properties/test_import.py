"""Import never widens egress, whatever the manifest; and what it writes loads."""

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from lockgate.policy.deciding.decide import Decider
from lockgate.policy.deciding.decision import Route
from lockgate.policy.reading.document import from_plain
from pulumi_lockgate.convert.difference import Imported
from pulumi_lockgate.convert.llmkube.router import (
    import_router,
    load_imported,
    load_written,
)
from pulumi_lockgate.convert.yaml_output import stack_yaml
from pulumi_lockgate.stack.read import load_source

from tests.properties.routers import any_headers, models, read_headers, router_specs
from tests.spec.llmkube import cloud_reached


def imported(spec: dict[str, Any]) -> Imported:
    document = {
        "apiVersion": "inference.llmkube.dev/v1alpha1",
        "kind": "ModelRouter",
        "metadata": {"name": "r", "namespace": "n"},
        "spec": spec,
    }
    return import_router((from_plain(document),), "router.yaml")


def clouds(decider: Decider, model: str, headers: dict[str, tuple[str, ...]]) -> set[str]:
    decision = decider.decide(model, headers)
    candidates = decision.candidates if isinstance(decision, Route) else ()
    return {backend.name for backend in candidates if backend.tier == "cloud"}


@given(router_specs(), st.lists(st.tuples(models, read_headers), min_size=20, max_size=20))
def test_a_request_that_llmkube_keeps_off_a_cloud_backend_is_kept_off_it(
    spec: dict[str, Any], requests: list[tuple[str, dict[str, str]]]
) -> None:
    found = imported(spec)
    assume(found.config)
    decider = Decider(load_written(found))
    for model, headers in requests:
        once = {name: (value,) for name, value in headers.items()}
        assert clouds(decider, model, once) <= cloud_reached(spec, model, headers)


SAID = ("every label of a list", "counts as written", "several header fields")


@given(router_specs(), st.lists(st.tuples(models, any_headers), min_size=20, max_size=20))
def test_where_fields_that_come_several_times_or_otherwise_spelt_reach_further_it_was_said(
    spec: dict[str, Any], requests: list[tuple[str, dict[str, list[str]]]]
) -> None:
    found = imported(spec)
    assume(not found.refused)
    decider = Decider(load_imported(found))
    told = " ".join(d.message for d in found.differences if d.kind == "changed")
    for model, headers in requests:
        first = {name: values[0] for name, values in headers.items()}
        all_of_them = {name: tuple(values) for name, values in headers.items()}
        if not clouds(decider, model, all_of_them) <= cloud_reached(spec, model, first):
            assert any(said in told for said in SAID)


@given(router_specs())
def test_what_is_written_reads_back_as_what_was_judged(spec: dict[str, Any]) -> None:
    found = imported(spec)
    assume(not found.refused)
    text = stack_yaml(found.config, "Imported.")
    assert load_source(text.encode(), "Pulumi.x.yaml").digest == load_imported(found).digest
