"""Each source has tests of its own name, or is named here with the tests that cover it.

`lockgate.ROOM...NAME` is tested in `tests/ROOM/.../test_NAME.py`; of the other distributions, see `folder`.
"""

from pathlib import Path

import pytest

from tests.test_structure import SOURCES

HERE = Path(__file__).parent
COVERED_BY = {
    "audit/test_sink.py": "lockgate.audit.outlet",
    "bodies/test_splices.py": "lockgate.bodies.edits",
    "bodies/test_stepwise.py": "lockgate.bodies.scan",
    "cli/test_every_command.py": "lockgate.cli.{arguments,results}"
    " pulumi_lockgate.cli.{demo,graph,plan}",
    "components/foreign/test_litellm_proof.py": "pulumi_lockgate.foreign.{check,report}"
    " pulumi_lockgate.foreign.litellm.{lookup,prove,walk}",
    "components/foreign/test_real_litellm.py": "pulumi_lockgate.foreign.litellm.provider_names",
    "components/convert/test_litellm.py": "pulumi_lockgate.convert.difference"
    " pulumi_lockgate.convert.litellm.{deployment,draft,fallbacks,routes,settings,weights}",
    "components/convert/test_places.py": "pulumi_lockgate.convert.tiers"
    " pulumi_lockgate.convert.litellm.{locality,providers}",
    "components/convert/test_llmkube.py": "pulumi_lockgate.convert.llmkube."
    "{backends,draft,manifest,router,router_wide,rules} pulumi_lockgate.convert.salvage",
    "components/diagram/test_svg.py": "pulumi_lockgate.diagram.style",
    "components/policytests/test_runner.py": "pulumi_lockgate.policytests.report",
    "components/test_audit.py": "lockgate.policy.reading.audit_faults",
    "components/test_ci_output.py": "pulumi_lockgate.ci_output.{comment,sarif}"
    " pulumi_lockgate.{planned,rendering}",
    "cli/test_check.py": "lockgate.policy.reading.route_faults",
    "components/test_config.py": "pulumi_lockgate.stack.{placing,settings}",
    "policy/test_schema.py": "pulumi_lockgate.stack.schema pulumi_lockgate.cli.schema",
    "components/test_models.py": "pulumi_lockgate.manifests.{model_server,runtimes}",
    "components/test_network.py": "lockgate.policy.spec.network pulumi_lockgate.manifests.openings",
    "components/test_demo.py": "pulumi_lockgate.demo.{processes,show,story}",
    "components/test_library.py": "pulumi_lockgate.{model_router,proved_policy,typed}",
    "components/test_manifests.py": "pulumi_lockgate.manifests.{common,inference,router}"
    " pulumi_lockgate.{inference_service,resource} pulumi_lockgate.stack.{evaluate,project}",
    "components/test_plan.py": "pulumi_lockgate.{draft,notices,stand_ins}",
    "fetching/test_download.py": "lockgate.fetching.{asking,remote}",
    "fetching/test_folder.py": "lockgate.fetching.listing",
    "components/test_metal.py": "pulumi_lockgate.metal_host pulumi_lockgate.manifests.launchd"
    " pulumi_lockgate.program.servers",
    "components/test_site.py": "lockgate.policy.reading.site_faults lockgate.policy.spec.site",
    "components/test_bundle.py": "pulumi_lockgate.cli.bundle",
    "components/test_live.py": "pulumi_lockgate.quotas",
    "components/test_fetching.py": "pulumi_lockgate.stack.fetch_settings",
    "components/test_pools.py": "pulumi_lockgate.{cautions,node_pool} pulumi_lockgate.stack.pool_settings"
    " pulumi_lockgate.manifests.{capacity,gpu_kinds,quantities}",
    "components/test_read.py": "pulumi_lockgate.stack.files",
    "components/test_rollout.py": "pulumi_lockgate.providers",
    "components/test_secrets.py": "pulumi_lockgate.stack_secret",
    "components/test_service_ref.py": "lockgate.policy.reading.in_cluster_faults",
    "components/test_widening.py": "pulumi_lockgate.stack.deployed pulumi_lockgate.proof.change",
    "proof/test_diff.py": "pulumi_lockgate.proof.{servers,ways}",
    "connections/test_client.py": "lockgate.connections."
    "{downstream,inbound,intake,pipeline,requests,slow_client}",
    "errors/test_kinds.py": "lockgate.errors.{codes,outcome}",
    "eventloop/test_tls_transport.py": "lockgate.eventloop.{client_tls,tls_output}",
    "eventloop/test_transport.py": "lockgate.eventloop."
    "{failure,outbox,reactor,reactor_loop,sockets}",
    "exchange/test_machine.py": "lockgate.exchange."
    "{attempting,client_response,commands,events,holding,large_response,ports,relay,relaying,render,request}",
    "exchange/test_candidates.py": "lockgate.exchange.attempts",
    "exchange/test_order.py": "lockgate.server.upstream_state",
    "exchange/test_refusal.py": "lockgate.exchange.response_body",
    "exchange/test_resume.py": "lockgate.exchange.resuming",
    "exchange/test_transitions.py": "lockgate.exchange.{reference,state}",
    "faults/test_callbacks.py": "lockgate.eventloop.broken",
    "faults/test_tls.py": "lockgate.server.certificate",
    "http1/test_request_head.py": "lockgate.http1.grammar",
    "policy/test_address.py": "lockgate.policy.special_addresses",
    "policy/test_advice.py": "lockgate.policy.reading.{nearest,paths,suggestions}",
    "policy/test_fields_act.py": "lockgate.policy.reading.{reference,unimplemented}"
    " lockgate.policy.spec.{backends,model_router,rules}",
    "policy/test_load.py": "lockgate.policy.loaded"
    " lockgate.policy.reading.{header_faults,invariant_faults,problem,structure,validate}"
    " lockgate.policy.spec.{fields,invariants,names}",
    "policy/test_why.py": "lockgate.policy.deciding.{decision,explain}",
    "policy_pack/test_policies.py": "lockgate_pack."
    "{credentials,images,network,proof,resources,restricted}",
    "proof/test_globs.py": "pulumi_lockgate.proof.{glob_automata,model_names}",
    "proof/test_verdicts.py": "pulumi_lockgate.proof."
    "{checks,literals,query,report,route_points,small_models,solver}",
    "properties/test_decide.py": "lockgate.policy.deciding.decide",
    "properties/test_import.py": "pulumi_lockgate.convert.yaml_output",
    "server/test_backend_log.py": "lockgate.server.availability",
    "server/test_lifecycle.py": "lockgate.cli.serve lockgate.clock lockgate.server.{app,log,options}",
    "server/test_requests.py": "lockgate.server.{driver,router,upstreams}",
    "server/test_strategies.py": "lockgate.server.{background_request,health,shadow}",
    "server/test_supervisor.py": "lockgate.server.parent_watch",
    "server/test_upload.py": "lockgate.connections.body_producer",
    "test_structure.py": "lockgate.errors.reference",
}
"""What is tested under another name; it may shrink."""


def named(text: str) -> list[str]:
    """Return the modules of a line: `a.{b,c}` is two."""
    found = []
    for part in text.split():
        head, brace, tail = part.partition("{")
        found += [head + name for name in tail.rstrip("}").split(",")] if brace else [part]
    return found


def folder(module: str) -> Path:
    """Return where a module's own tests are, or below it."""
    top, room, *more = module.split(".")
    if top == "lockgate":
        return HERE / room if more else HERE
    if top == "lockgate_pack":
        return HERE / "policy_pack"
    if top == "image":
        return HERE / "image"
    return HERE / (room if room in {"cli", "proof"} else "components")


ELSEWHERE = {module: file for file, text in COVERED_BY.items() for module in named(text)}
MODULES = [m for m in SOURCES if "__" not in SOURCES[m].name and "." in m]


@pytest.mark.parametrize("module", MODULES)
def test_a_source_has_tests_of_its_own_or_is_named_once(module: str) -> None:
    name = module.rpartition(".")[2].strip("_")
    own = list(folder(module).rglob(f"test_{name}.py"))
    assert bool(own) != (module in ELSEWHERE), "tests of its own" if own else "no tests"


def test_what_is_named_is_there() -> None:
    assert sorted(set(ELSEWHERE) - set(MODULES)) == []
    assert [file for file in COVERED_BY if not (HERE / file).is_file()] == []
    assert len(ELSEWHERE) == sum(len(named(text)) for text in COVERED_BY.values())
