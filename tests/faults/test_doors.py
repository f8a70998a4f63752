"""Rows R70 to R79: what every door says to SDKs, to browsers, and to who asks oddly."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.faults.conftest import Start
from tests.faults.rig import POLICY, Rig, changed
from tests.faults.test_reload import adopt
from tests.support.proxy import Proxy, secrets
from tests.support.responses import DONE, END, SSE_HEAD, http, word
from tests.support.upstream import Upstream, reset

fault = pytest.mark.fault
CLOUD = {
    "name": "cloud",
    "tier": "cloud",
    "capabilities": ["vision"],
    "external": {"provider": "openai", "model": "gpt-5", "allowPrivateAddress": True},
}
KEYLESS = {
    "name": "keyless",
    "displayName": "acme/keyless",
    "external": {
        "provider": "openai",
        "model": "m",
        "url": "https://a.example/v1",
        "credentialsSecretRef": {"name": "nowhere"},
    },
    "tier": "cloud",
}
DOORS: dict[str, Any] = {
    "backends": [
        {**POLICY["backends"][0], "contextLength": 32768, "maxOutputTokens": 4096},
        CLOUD,
        KEYLESS,
    ],
    "rules": [
        {"name": "far", "match": {"models": ["far"]}, "route": {"backends": ["cloud"]}},
        {"name": "keyless", "match": {"models": ["keyless"]}, "route": {"backends": ["keyless"]}},
        {
            "name": "keyless-closed",
            "match": {"models": ["keyless-closed"]},
            "route": {"backends": ["keyless"]},
            "failClosed": True,
        },
        {"name": "org", "match": {"headers": {"X-Org": "acme"}}, "route": {"backends": ["local"]}},
        {"name": "near", "match": {"models": ["m"]}, "route": {"backends": ["local"]}},
    ],
    "endpoint": {"cors": {"origins": ["https://chat.example"]}},
    "proxy": {"quarantineDuration": "100ms"},
}
PII = {"x-llmkube-classification": "pii"}


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, upstreams: dict[str, Upstream]
) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("doors")
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    proxy = Proxy(folder, DOORS, addresses, "--secrets", str(secrets(folder)))
    yield proxy
    assert proxy.stop() == 0


@pytest.fixture
def doors(running: Proxy, upstreams: dict[str, Upstream]) -> Iterator[Rig]:
    """A proxy whose policy has doors of every kind; the invariants hold after."""
    for upstream in upstreams.values():
        upstream.reset()
    rig = Rig(running, upstreams["local"], upstreams["cloud"])
    yield rig
    rig.hold_the_invariants()


def sdk(rig: Rig) -> openai.OpenAI:
    """The real client with its defaults: it asks again twice where it is let."""
    return openai.OpenAI(base_url=f"http://127.0.0.1:{rig.proxy.port}/v1", api_key="x")


def refused(call: Callable[[], Any]) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        call()
    return caught.value


@fault(
    "R70", "refusals that no repeat can mend, to the SDK with its defaults", "one call, one record"
)
@pytest.mark.parametrize(
    ("model", "fields", "status", "code", "outcome"),
    [
        ("far", PII, 503, "refused_by_policy", "refused_policy"),
        ("acme/keyless", {}, 503, "no_route", "refused_policy"),
        ("keyless", {}, 502, "credentials_missing", "upstream_failed"),
        ("keyless-closed", {}, 503, "no_allowed_upstream", "upstream_failed"),
    ],
)
def test_r70_what_no_repeat_can_mend_is_asked_once(
    doors: Rig, model: str, fields: dict[str, str], status: int, code: str, outcome: str
) -> None:
    """mnfst/llm-gateway #1126, 8monkey-ai/hebo-gateway #128: SDKs hammer on a 5xx."""
    with sdk(doors) as client:
        error = refused(
            lambda: client.chat.completions.create(model=model, messages=[], extra_headers=fields)
        )
    assert (error.status_code, error.code) == (status, code)
    assert error.response.headers["x-should-retry"] == "false"
    assert "retry-after" not in error.response.headers
    record = doors.record()
    assert (record["outcome"], record["error"]) == (outcome, code)
    doors.hold_the_invariants()  # and no second record


@fault("R70", "the one allowed backend is down", "503 with Retry-After, and a repeat is welcome")
def test_r70_what_is_down_may_be_asked_again(doors: Rig) -> None:
    doors.local.script = lambda connection, _: reset(connection)
    answer = doors.ask(None, ("x-llmkube-classification", "pii"))
    assert (answer.status, answer.code) == (503, "no_allowed_upstream")
    assert "retry-after: 1\r\n" in answer.head
    assert "x-should-retry" not in answer.head
    record = doors.record()
    assert (record["outcome"], record["terminal"]) == ("upstream_failed", "Uw-reset")


@fault("R70", "a backend that takes our key no more", "502, and the SDK asks once")
def test_r70_a_rejected_key_is_asked_once(doors: Rig) -> None:
    doors.local.script = lambda connection, _: connection.sendall(http(401, b"{}"))
    with sdk(doors) as client:
        error = refused(lambda: client.chat.completions.create(model="m", messages=[]))
    assert (error.status_code, error.code) == (502, "upstream_auth")
    assert error.response.headers["x-should-retry"] == "false"
    assert len(doors.local.requests) == 1


@fault(
    "R71",
    "a model that nobody publishes, and no rule for it",
    "404 model_not_found, as OpenAI says it",
)
def test_r71_a_model_that_is_not_there_is_the_callers_404(doors: Rig) -> None:
    with sdk(doors) as client:
        error = refused(lambda: client.chat.completions.create(model="gpt-9", messages=[]))
    assert isinstance(error, openai.NotFoundError)
    assert (error.code, error.param, error.type) == (
        "model_not_found",
        "model",
        "invalid_request_error",
    )
    assert "gpt-9" in error.message
    record = doors.record()
    assert (record["outcome"], record["terminal"]) == ("refused_policy", "Cr-model-not-found")


@fault(
    "R72",
    "errors and responses of every path",
    "x-request-id stands there once, and is the record's",
)
@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("POST", "/v1/chat/completions", b'{"model": "far", "messages": []}'),
        ("POST", "/v1/chat/completions", b'{"model": "m", "messages": []}'),
        ("POST", "/v1/chat/completions", b'{"model": "keyless", "messages": []}'),
        ("POST", "/v1/chat/completions", b'{"model": "none", "messages": []}'),
        ("POST", "/v1/chat/completions", b"{"),
        ("POST", "/v1/elsewhere", b"{}"),
        ("DELETE", "/v1/models", b""),
        ("GET", "/v1/models", b""),
    ],
)
def test_r72_an_answer_has_one_request_id(
    doors: Rig, method: str, path: str, content: bytes
) -> None:
    """openai-python reads `x-request-id` for its `request_id`; httpx joins two with a comma."""
    url = f"http://127.0.0.1:{doors.proxy.port}{path}"
    answer = httpx.request(method, url, content=content, headers=PII)
    ids = answer.headers.get_list("x-request-id")
    assert len(ids) == 1
    assert "," not in ids[0]
    if "x-lockgate-policy" in answer.headers:
        assert doors.record()["request_id"] == ids[0]
    if answer.status_code >= 400:
        assert answer.json()["error"]["request_id"] == ids[0]


def url(rig: Rig, path: str) -> str:
    return f"http://127.0.0.1:{rig.proxy.port}{path}"


@fault(
    "R73", "the list, one model by its id with a slash, one that is not there", "as OpenAI answers"
)
def test_r73_the_sdk_finds_every_model_by_its_id(doors: Rig) -> None:
    """ollama/ollama #10139, BerriAI/litellm #37275, lmstudio-ai/lmstudio-bug-tracker #2139."""
    with sdk(doors) as client:
        listed = {model.id: model for model in client.models.list()}
        assert set(listed) == {"local", "cloud", "acme/keyless"}
        assert client.models.retrieve("acme/keyless") == listed["acme/keyless"]
        local = client.models.retrieve("local").model_dump()
        error = refused(lambda: client.models.retrieve("acme/other"))
    assert (local["tier"], local["context_length"], local["max_output_tokens"]) == (
        "local",
        32768,
        4096,
    )
    assert "capabilities" not in local
    assert listed["cloud"].model_dump()["capabilities"] == ["vision"]
    assert (error.status_code, error.code, error.param) == (404, "model_not_found", "model")
    records = [doors.record() for _ in range(4)]
    assert [r["error"] for r in records] == [None, None, None, "model_not_found"]
    assert {r["door"] for r in records} == {"models"}


@fault("R73", "HEAD of the list, of one model, of one that is not there", "GET's head, no body")
@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/models", 200), ("/v1/models/acme/keyless", 200), ("/v1/models/x", 404), ("/x", 404)],
)
def test_r73_head_is_answered_as_get_is(doors: Rig, path: str, status: int) -> None:
    get = httpx.get(url(doors, path))
    lines = [f"HEAD {path} HTTP/1.1", "host: x", "connection: close", "", ""]
    answer = doors.talk("\r\n".join(lines).encode())
    assert (answer.status, answer.body) == (status, b"")
    assert get.status_code == status
    said = {line.partition(":")[0] for line in answer.head.split("\r\n")[1:]}
    assert said - {"connection"} == {name.lower() for name in get.headers} - {"connection"}
    length = next(line for line in answer.head.split("\r\n") if line.startswith("content-length"))
    assert int(length.partition(":")[2]) in range(len(get.content) - 3, len(get.content) + 4)


CORS = {"origin": "https://chat.example"}


@fault(
    "R74", "preflights and requests of a listed origin and of another", "CORS for the listed one"
)
def test_r74_a_listed_origin_is_answered_with_cors_on_every_door(doors: Rig) -> None:
    """pollinations/pollinations #10165, lidge-jun/opencodex #1773: SDKs send x-stainless-* too."""
    asked = {
        **CORS,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-os",
    }
    preflight = httpx.options(url(doors, "/v1/chat/completions"), headers=asked)
    assert (preflight.status_code, preflight.content) == (204, b"")
    assert "content-length" not in preflight.headers
    assert (
        preflight.headers["access-control-allow-headers"] == asked["access-control-request-headers"]
    )
    assert preflight.headers["access-control-allow-methods"] == "POST, OPTIONS"
    record = doors.record()
    assert (record["door"], record["outcome"], record["status"]) == ("options", "complete", 204)
    stream = {"model": "m", "messages": [], "stream": True}
    doors.local.script = lambda connection, _: connection.sendall(SSE_HEAD + word("a") + END + DONE)
    answers = [
        httpx.get(url(doors, "/v1/models"), headers=CORS),
        httpx.post(url(doors, "/v1/chat/completions"), headers=CORS, json=stream),
        httpx.post(url(doors, "/v1/chat/completions"), headers=CORS, content=b"{"),
        httpx.post(url(doors, "/v1/chat/completions"), headers=CORS, json={"model": "none"}),
        httpx.post(url(doors, "/v1/chat/completions"), headers=CORS, json={"model": "keyless"}),
        httpx.get(url(doors, "/v1/chat/completions"), headers=CORS),
        httpx.get(url(doors, "/elsewhere"), headers=CORS),
        httpx.post(url(doors, "/v1/chat/completions"), headers={**CORS, "x_org": "1"}, json=stream),
        preflight,
    ]
    assert [a.status_code for a in answers] == [200, 200, 400, 404, 502, 405, 404, 400, 204]
    for answer in answers:
        assert answer.headers.get_list("access-control-allow-origin") == [CORS["origin"]]
        assert "x-request-id" in answer.headers["access-control-expose-headers"]
        assert "Origin" in answer.headers["vary"]
    home = httpx.get(url(doors, "/v1/models"), headers={"origin": "http://localhost:3000"})
    assert home.status_code == 200
    assert "access-control-allow-origin" not in home.headers


@fault("R75", "langfuse_trace_id, and names that fold into ours", "dropped; 400, by name")
def test_r75_an_underscore_is_dropped_or_told(doors: Rig) -> None:
    """BerriAI/litellm #7604 and #13901, langfuse/langfuse #5173: its users send langfuse_trace_id."""
    answer = doors.ask(None, ("langfuse_trace_id", "u1"), ("X_Org_Unit", "a"))
    assert answer.status == 200
    (sent,) = doors.local.requests
    assert b"langfuse" not in sent
    assert b"_" not in sent.partition(b"\r\n\r\n")[0]
    for name in ("x_org", "X_LLMKUBE_Classification", "content_length", "Transfer_Encoding"):
        refusal = doors.ask(None, (name, "acme"))
        assert (refusal.status, refusal.code) == (400, "bad_request")
        assert name.lower() in refusal.json["error"]["message"]
    assert len(doors.local.requests) == 1


@fault("R75", "a reload makes a rule read a header that was dropped", "the next request is 400")
def test_r75_a_reload_reads_other_names(start: Start) -> None:
    rig = start()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx_unit: a\r\n"
    policy = changed("unit")
    policy["rules"][-1]["match"] = {"headers": {"x-unit": "a"}}
    with rig.connect() as connection:
        assert rig.ask(None, ("x_unit", "a")).status == 200
        connection.sendall(head + b"content-length: %d\r\n\r\n" % len(BODY))
        adopt(rig, policy)  # the head was admitted by the old one
        connection.sendall(BODY)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert rig.ask(None, ("x_unit", "a")).status == 400


CHUNKED = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"
BODY = b'{"model": "m", "messages": []}'


@fault(
    "R76",
    "a label in a trailer, in any spelling, and one that Trailer names",
    "400; nothing goes up",
)
@pytest.mark.parametrize(
    "trailer",
    [b"X-Llmkube-Classification: pii", b"x-org: acme", b"a: b\r\nX_Llmkube_Team: red",
     b"x-llmkube-task-complexity: complex"],
)  # fmt: skip
def test_r76_a_label_in_a_trailer_is_refused_with_a_record(doors: Rig, trailer: bytes) -> None:
    """RFC 9110, 6.5.1: servers behind may merge a trailer into the head, and route by it."""
    chunks = b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
    answer = doors.talk(CHUNKED + b"\r\n" + chunks + trailer + b"\r\n\r\n")
    assert (answer.status, answer.code) == (400, "bad_request")
    assert "trailer" in answer.json["error"]["message"]
    record = doors.record()
    assert (record["outcome"], record["terminal"]) == ("bad_request", "Cb-bad-request")
    assert doors.local.requests == []


@fault("R76", "a label that Trailer names; other trailers", "400 at the head; dropped")
def test_r76_what_trailer_names_is_refused_at_the_head(doors: Rig) -> None:
    answer = doors.talk(CHUNKED + b"trailer: a, X-Org\r\n\r\n")
    assert (answer.status, answer.code) == (400, "bad_request")
    chunks = b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
    good = CHUNKED + b"connection: close\r\ntrailer: x-checksum\r\n\r\n" + chunks
    assert doors.talk(good + b"x-checksum: 1\r\ncontent-length: 3\r\n\r\n").status == 200


@fault(
    "R76",
    "a label in the trailer of a body that goes up while it arrives",
    "400; the upload is reset",
)
def test_r76_a_large_body_ends_with_a_label(doors: Rig) -> None:
    large = b'{"model": "m", "messages": [], "x": "' + b"x" * (2 << 20) + b'"}'
    chunks = b"%x\r\n%b\r\n0\r\nX-Org: acme\r\n\r\n" % (len(large), large)
    answer = doors.talk(CHUNKED + b"\r\n", chunks[: 1 << 20], chunks[1 << 20 :])
    assert (answer.status, answer.code) == (400, "bad_request")
    assert doors.record()["terminal"] == "Cb-bad-request"
    assert doors.local.requests == []


@fault("R74", "bodies that are refused on their way, of a listed origin", "CORS there too")
@pytest.mark.parametrize(
    ("framing", "rest", "status"),
    [
        (b"transfer-encoding: chunked\r\n\r\n", b"0\r\nX-Org: acme\r\n\r\n", 400),
        (b"transfer-encoding: chunked\r\n\r\n", b"x\r\n", 400),
        (b"content-length: 40000000\r\n\r\n", b"", 413),
    ],
)
def test_r74_a_page_may_read_why_its_body_is_refused(
    doors: Rig, framing: bytes, rest: bytes, status: int
) -> None:
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\norigin: https://chat.example\r\n"
    )
    answer = doors.talk(head + framing + rest)
    assert answer.status == status
    assert "access-control-allow-origin: https://chat.example\r\n" in answer.head


@fault("R77", "Origin, Sec-Fetch-Site and Host of pages that are not ours", "403 cross_origin")
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"origin": "https://chat.example", "host": "gateway.example"}, 200),
        ({"sec-fetch-site": "same-origin", "host": "evil.example"}, 403),
        ({"origin": "https://chat.example", "sec-fetch-site": "cross-site"}, 200),
        ({"origin": "http://localhost:3000", "sec-fetch-site": "cross-site"}, 200),
        ({"host": "evil.example"}, 200),
    ],
)
def test_r77_a_page_of_another_origin_is_refused(
    doors: Rig, fields: dict[str, str], status: int
) -> None:
    """CVE-2024-28224 (Ollama), NousResearch/hermes-agent #21939."""
    prompt = {"model": "m", "messages": []}
    posted = httpx.post(url(doors, "/v1/chat/completions"), headers=fields, json=prompt)
    assert posted.status_code == httpx.get(url(doors, "/v1/models"), headers=fields).status_code
    assert posted.status_code == status
    if status == 403:
        assert posted.json()["error"]["code"] == "cross_origin"
        assert doors.local.requests == []


@fault(
    "R78", "X-Request-Id of the client's own, long and odd", "in the record; ours in the response"
)
def test_r78_the_callers_own_id_is_in_the_record(doors: Rig) -> None:
    """kubernetes-sigs/gateway-api-inference-extension #556, emissary-ingress/emissary #1010."""
    for sent, kept in (("trace-1", "trace-1"), ("x" * 300, "x" * 128)):
        for document in ({"model": "m"}, {"model": "none"}, {}):
            answer = doors.ask(document or {"x": 1}, ("X-Request-ID", sent))
            assert "x-request-id: req-" in answer.head
            assert doors.record()["caller_request_id"] == kept
    httpx.get(url(doors, "/v1/models"))
    assert doors.record()["caller_request_id"] is None
