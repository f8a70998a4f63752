"""What loading refuses: each fault with its path, line and suggestion, and all at once."""

import json

import pytest
from hypothesis import given
from lockgate.policy.reading.document import from_plain
from lockgate.policy.reading.load import compiled, load_policy, load_tree
from lockgate.policy.reading.problem import PolicyRefusedError, Problem
from lockgate.policy.reading.unimplemented import TABLE
from lockgate.policy.spec.model_router import RouterSpec

from tests.properties.policies import specs

GOOD = """\
backends:
- name: local
  inferenceServiceRef: { name: qwen }
  capabilities: [code]
- name: cloud
  tier: cloud
  external: { provider: openai, model: gpt-5 }
rules:
- name: keep
  match: { dataClassification: [pii, phi] }
  route: { backends: [local] }
  failClosed: true
- name: hard
  match: { taskComplexity: complex }
  route: { backends: [cloud, local] }
defaultRoute: local
"""


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(PolicyRefusedError) as refused:
        load_policy(text.encode(), "policy.yaml")
    return refused.value.problems


def test_a_good_policy_loads() -> None:
    policy = load_policy(GOOD.encode(), "policy.yaml")
    assert [backend.name for backend in policy.spec.backends] == ["local", "cloud"]
    assert policy.digest.startswith("sha256:")


@pytest.mark.parametrize(
    ("old", "new", "path", "line", "said"),
    [
        ("failClosed: true", "failClsoed: true", "rules[0].failClsoed", 12, "did you mean failClosed"),
        ("failClosed: true", "failClosed: yes", "rules[0].failClosed", 12, "write `failClosed: true`"),
        ("failClosed: true", "failClosed:", "rules[0].failClosed", 12, "leave it out"),
        ("failClosed: true", "timeout: 5", "rules[0].timeout", 12, "write `timeout: 5s`"),
        ("failClosed: true", "timeout: 0s", "rules[0].timeout", 12, "greater than zero"),
        ("failClosed: true", "timeout: 5 s", "rules[0].timeout", 12, "not a duration"),
        ("  failClosed: true\n", "", "rules[0].failClosed", 9, "add `failClosed: true`"),
        ("name: hard", "name: Hard", "rules[1].name", 13, "is not a name"),
        ("name: hard", "name: keep", "rules[1].name", 13, "already rules[0]'s"),
        ("- name: cloud\n", "- name: local\n", "backends[1].name", 5, "already backends[0]'s"),
        ("defaultRoute: local", "defaultRoute: locla", "defaultRoute", 16, "did you mean local?"),
        ("[cloud, local]", "[cloud, moon]", "rules[1].route.backends[1]", 15, "there is no backend"),
        ("[cloud, local]", "[cloud, cloud]", "rules[1].route.backends[1]", 15, "stands twice"),
        ("[cloud, local]", "[]", "rules[1].route.backends", 15, "write `backends: [local]`"),
        ("{ backends: [local] }", "{ backends: [cloud] }", "rules[0].route.backends[0]", 11, "cloud backend"),
        ("  tier: cloud\n", "", "backends[1].tier", 6, "write `tier: cloud`"),
        ("tier: cloud", "tier: local", "backends[1].tier", 6, "own address is not local"),
        ("tier: cloud", "tier: clod", "backends[1].tier", 6, "did you mean cloud?"),
        ("  inferenceServiceRef: { name: qwen }\n", "", "backends[0]", 2, "keep one"),
        ("capabilities: [code]", "external: { provider: openai, model: x }", "backends[0]", 2, "keep one"),
        ("model: gpt-5", "model: 5", "backends[1].external.model", 7, 'write `model: "5"`'),
        ("model: gpt-5 ", "", "backends[1].external.model", 7, "add `model: MODEL`"),
        ("gpt-5 }", "gpt-5, url: 'https://h/v1?x=1' }", "backends[1].external.url", 7, "query"),
        ("gpt-5 }", "gpt-5, url: 'http://h.example/v1' }", "backends[1].external.url", 7, "plain http"),
        ("gpt-5 }", "gpt-5, url: 'https://u:p@h/v1' }", "backends[1].external.url", 7, "password"),
        ("taskComplexity: complex", "models: ['[a']", "rules[1].match.models[0]", 14, "not a pattern"),
        ("taskComplexity: complex", "dataClassification: [secret]", "rules[1].match.dataClassification[0]", 14, "neither"),
        ("taskComplexity: complex", "requiredCapabilities: [vision]", "rules[1].match.requiredCapabilities[0]", 14, "no backend"),
        ("taskComplexity: complex", "headers: { 'a b': x }", "rules[1].match.headers.a b", 14, "header name"),
        ("capabilities: [code]", "upwardHeaders: [Cookie]", "backends[0].upwardHeaders[0]", 4, "never goes up"),
        ("capabilities: [code]", "downwardHeaders: [X-Request-Id]", "backends[0].downwardHeaders[0]", 4, "never comes down"),
        ("capabilities: [code]", "downwardHeaders: [Access-Control-Allow-Origin]", "backends[0].downwardHeaders[0]", 4, "never comes down"),
        ("capabilities: [code]", "maxOutputTokens: 0", "backends[0].maxOutputTokens", 4, "in tokens"),
        ("capabilities: [code]", "capabilities: code", "backends[0].capabilities", 4, "write `capabilities: [code]`"),
        ("capabilities: [code]", "tier: cloud", "backends[0].tier", 4, "write `tier: local`"),
        ("defaultRoute: local", "proxy: { replicas: 11 }", "proxy.replicas", 16, "from 1 to 10"),
        ("defaultRoute: local", "endpoint: { port: 70000 }", "endpoint.port", 16, "not a port"),
        ("defaultRoute: local", 'endpoint: { cors: { origins: ["*"] } }', "endpoint.cors.origins[0]", 16, "every page"),
        ("defaultRoute: local", "endpoint: { nodePort: 30001 }", "endpoint.nodePort", 16, "ClusterIP"),
        ("defaultRoute: local", "proxy: { privateRanges: [{ cidr: 10.0.0.1/8, why: x }] }", "proxy.privateRanges[0].cidr", 16, "host bits"),
        ("defaultRoute: local", "policy: { auditLog: { sink: file } }", "policy.auditLog.filePath", 16, "add `filePath: /var/log"),
        ("defaultRoute: local", "defaultRoute: [local]", "defaultRoute", 16, "a list, not a text"),
        ("defaultRoute: local", "defaultRoute: local\ndefaultRoute: cloud", "defaultRoute", 17, "stands twice"),
        ("defaultRoute: local", "defaultRoute: *local", "", 16, "anchor or an alias"),
        ("defaultRoute: local", "policy: { classification: { sensitiveClassifications: [PII] } }", "policy.classification.sensitiveClassifications[0]", 16, "lower-case"),
    ],
)  # fmt: skip
def test_a_fault_has_its_place_and_a_suggestion(
    old: str, new: str, path: str, line: int, said: str
) -> None:
    assert old in GOOD
    found = problems(GOOD.replace(old, new, 1))
    told = [p for p in found if (p.path, p.line) == (path, line)]
    assert told, found
    assert said in f"{told[0].message}; {told[0].suggestion}"


@pytest.mark.parametrize(
    ("old", "new", "kind", "choices"),
    [
        ("failClosed: true", "failClsoed: true", "misspelt field", ()),
        ("failClosed: true", "timeout: 0s", "wrong value", ("'0s' is not a duration greater than zero",)),
        ("failClosed: true", "failClosed: yes", "wrong type", ()),
        ("tier: cloud", "tier: clod", "not a choice", ("local", "cloud")),
        ("provider: openai, ", "", "missing", ()),
        ("name: hard", "name: Hard", None, ()),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_types_is_refused_as_data_too(
    old: str, new: str, kind: str | None, choices: tuple[str, ...]
) -> None:
    found = [p.refusal for p in problems(GOOD.replace(old, new, 1)) if p.refusal]
    assert [(r.kind, r.choices) for r in found] == ([(kind, choices)] if kind else [])


def test_an_external_local_backend_must_be_inside_or_attested() -> None:
    text = GOOD.replace("tier: cloud", "tier: local").replace(
        "model: gpt-5", "model: x, url: 'https://HOST/v1'"
    )
    assert problems(text.replace("HOST", "models.example.com"))[0].path == "backends[1].tier"
    for host in ("10.1.2.3", "[fd00::1]", "127.0.0.1", "q.models.svc", "q.m.svc.cluster.local"):
        load_policy(text.replace("HOST", host).encode(), "policy.yaml")
    attested = text.replace("tier: local", "tier: local\n  attestedLocal: rack 7")
    load_policy(attested.replace("HOST", "models.example.com").encode(), "policy.yaml")


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        ("tier: cloud, servedModel: caller, external: { provider: openai }", None),
        ("tier: cloud, external: { provider: openai }", "external.model: is missing"),
        ("tier: cloud, servedModel: x, external: { provider: openai }", "servedModel: is for inferenceServiceRef"),
        ("tier: cloud, servedModel: caller, external: { provider: openai, model: m }", "servedModel: is for"),
        ("tier: local, servedModel: caller, external: { provider: openai, url: 'http://10.0.0.1/v1' }", "may send some models on to a cloud"),
        ("tier: local, external: { provider: openai, model: 'kimi-k2.5:cloud', url: 'http://127.0.0.1:11434/v1' }", "runs in Ollama's cloud"),
        ("tier: local, external: { provider: openai, model: 'gpt-oss:20b-cloud', url: 'http://127.0.0.1:11434/v1' }", "runs in Ollama's cloud"),
        ("tier: local, external: { provider: openai, model: 'gpt-oss:cloud:20b', url: 'http://127.0.0.1:11434/v1' }", "runs in Ollama's cloud"),
        ("tier: local, external: { provider: openai, model: 'cloud/my-cloud', url: 'http://127.0.0.1:11434/v1' }", None),
        ("tier: local, attestedLocal: ours, external: { provider: openai, model: 'a:cloud', url: 'http://127.0.0.1:11434/v1' }", None),
        ("tier: cloud, external: { provider: openai, model: 'a:cloud', url: 'https://ollama.com/v1' }", None),
    ],
)  # fmt: skip
def test_an_external_backend_names_its_model_or_is_a_cloud_that_takes_the_callers(
    backend: str, said: str | None
) -> None:
    text = f"backends:\n- {{ name: b, {backend} }}\ndefaultRoute: b\n"
    if said is None:
        load_policy(text.encode(), "p.yaml")
        return
    with pytest.raises(PolicyRefusedError, match=said):
        load_policy(text.encode(), "p.yaml")


def test_every_fault_is_reported_at_once() -> None:
    text = GOOD.replace("name: local\n", "name: Local\n").replace("complex", "compelx")
    text = text.replace("tier: cloud", "tire: cloud").replace("[pii, phi]", "[pii, phi, x]")
    paths = {problem.path for problem in problems(text)}
    assert paths == {
        "backends[0].name",
        "backends[1].tire",
        "rules[0].match.dataClassification[2]",
        "rules[1].match.taskComplexity",
    }, "and nothing that follows from one of them"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"", "is empty"),
        (b"[]", "is a list"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"\xef\xbb\xbfbackends: []", "byte order mark"),
        (b"backends: [", "is not YAML"),
        (b'{"backends": [], "backends": []}', "stands twice"),
        (b"[" * 100_000, "nested too deep"),
        (b"- " * 5000 + b"x", "nested too deep"),
        (b"a: !!python/object:os.system x", "tag"),
        (b"x" * (5 * 1024 * 1024), "larger than"),
        (b"apiVersion: v1\nkind: ModelRouter\nspec: {}", "import"),
        (b"backends: []\n---\nbackends: []", "more than one document"),
    ],
)
def test_a_text_that_is_no_policy_is_refused_whole(source: bytes, said: str) -> None:
    with pytest.raises(PolicyRefusedError) as refused:
        load_policy(source, "p")
    assert said in str(refused.value)


def test_off_and_norway_are_texts_not_truth_values() -> None:
    found = problems(GOOD.replace("failClosed: true", "failClosed: off"))
    assert any("'off'" in problem.message for problem in found)


def test_a_stack_file_is_read_with_its_own_lines() -> None:
    indented = "".join(f"    {line}\n" for line in GOOD.replace("complex", "x").splitlines())
    text = "config:\n  lockgate:namespace: x\n  lockgate:router:\n" + indented
    found = problems(text)
    assert [(p.path, p.line) for p in found] == [
        ("config.lockgate:router.rules[1].match.taskComplexity", 17)
    ]


def test_json_and_plain_data_mean_the_same_as_yaml() -> None:
    policy = load_policy(GOOD.encode(), "y")
    again = load_policy(policy.json, "j")
    assert (again.json, again.digest) == (policy.json, policy.digest)
    tabbed = json.dumps(json.loads(policy.json), indent="\t").encode()
    assert load_policy(tabbed, "t").digest == policy.digest
    assert load_tree(from_plain(json.loads(policy.json)), "", "o").digest == policy.digest


def test_json_escapes_of_one_character_are_joined() -> None:
    text = json.dumps(json.loads(load_policy(GOOD.encode(), "y").json))
    text = text.replace('"gpt-5"', '"m-\\ud83d\\ude00"')
    external = load_policy(text.encode(), "j").spec.backends[1].external
    assert external is not None
    assert external.model == "m-😀"


@given(specs())
def test_what_is_written_reads_back_as_it_was(spec: RouterSpec) -> None:
    first = compiled(spec)
    try:
        second = load_policy(first.json, "round trip")
    except PolicyRefusedError:
        return  # a policy that loading refuses anyway
    assert second.json == first.json


def test_what_shapes_the_deployment_alone_leaves_the_digest() -> None:
    scaled = GOOD + "proxy: { replicas: 5, image: 'x:1', drainGrace: 5m }\nendpoint: { port: 80 }\n"
    timed = GOOD + "proxy: { quarantineDuration: 5s }\n"
    digest = load_policy(GOOD.encode(), "a").digest
    assert load_policy(scaled.encode(), "b").digest == digest
    assert load_policy(timed.encode(), "c").digest != digest


NOT_YET = {
    "backends[].weight": ("backends", "weight: 2"),
    "backends[].costPerMillionTokens": ("backends", "costPerMillionTokens: { promptUSD: '1' }"),
    "backends[].healthCheck": ("backends", "healthCheck: { path: /h }"),
    "backends[].tls": ("backends", "tls: { caSecretRef: { name: ca } }"),
    "backends[].maxOutputTokens": ("backends", "maxOutputTokens: 10"),
    "rules[].match.latencySLOMs": ("match", "latencySLOMs: 800"),
    "rules[].route.strategy": ("route", "strategy: weighted"),
    "rules[].recovery": ("rules", "recovery: resume"),
    "rules[].onUnsupported": ("rules", "onUnsupported: drop"),
    "backends[].external.provider": ("provider", "bedrock"),
}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.path)
def test_a_field_that_does_not_act_yet_is_refused_by_name(row: object) -> None:
    path: str = row.path  # type: ignore[attr-defined]
    where, text = NOT_YET.get(path, ("top", ""))
    if where == "backends":
        source = GOOD.replace("  capabilities: [code]", f"  {text}")
    elif where == "rules":
        source = GOOD.replace("  failClosed: true", f"  failClosed: true\n  {text}")
    elif where in {"match", "route"}:
        old = "{ taskComplexity: complex }" if where == "match" else "{ backends: [cloud, local] }"
        source = GOOD.replace(old, old.replace(" }", f", {text} }}"))
    elif where == "provider":
        source = GOOD.replace("provider: openai", f"provider: {text}")
    else:
        source = GOOD + _nested(path, row)
    found = problems(source)
    assert any("is not implemented in this version" in p.message for p in found), found
    assert found[0].suggestion


def _nested(path: str, row: object) -> str:
    values = {
        "policy.classification.mode": "hybrid",
        "policy.auditLog.sink": "otlp",
        "policy.auditLog.includeRequestBody": "true",
        "proxy.memoryBudget": "1000",
        "proxy.egress.fqdnPolicy": "calico",
    }
    value = values.get(path, "{}")
    for name in reversed(path.split(".")):
        value = f"{{ {name}: {value} }}"
    return value[2:-2] + "\n"


def test_an_external_backend_of_the_local_tier_reads_back_from_its_own_bytes() -> None:
    text = GOOD.replace(
        "- name: local\n  inferenceServiceRef: { name: qwen }\n",
        "- name: local\n  tier: local\n  external: { provider: openai, model: q, url: http://10.0.0.1/v1 }\n",
    )
    policy = load_policy(text.encode(), "policy.yaml")
    assert load_policy(policy.json, "policy.json").digest == policy.digest
