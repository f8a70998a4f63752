"""Rows R70 to R79: what every door says to SDKs, to browsers, and to who asks oddly."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.faults.house import POLICY, House, secrets
from tests.net.conftest import Proxy, Upstream

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
    "backends": [POLICY["backends"][0], CLOUD, KEYLESS],
    "rules": [
        {"name": "far", "match": {"models": ["far"]}, "route": {"backends": ["cloud"]}},
        {"name": "keyless", "match": {"models": ["keyless"]}, "route": {"backends": ["keyless"]}},
        {
            "name": "keyless-closed",
            "match": {"models": ["keyless-closed"]},
            "route": {"backends": ["keyless"]},
            "failClosed": True,
        },
        {"name": "near", "match": {"models": ["m"]}, "route": {"backends": ["local"]}},
    ],
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
def doors(running: Proxy, upstreams: dict[str, Upstream]) -> Iterator[House]:
    """A proxy whose policy has doors of every kind; the invariants hold after."""
    for upstream in upstreams.values():
        upstream.reset()
    house = House(running, upstreams["local"], upstreams["cloud"])
    yield house
    house.hold_the_invariants()


def sdk(house: House) -> openai.OpenAI:
    """The real client with its defaults: it asks again twice where it is let."""
    return openai.OpenAI(base_url=f"http://127.0.0.1:{house.proxy.port}/v1", api_key="x")


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
    doors: House, model: str, fields: dict[str, str], status: int, code: str, outcome: str
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


@fault(
    "R71",
    "a model that nobody publishes, and no rule for it",
    "404 model_not_found, as OpenAI says it",
)
def test_r71_a_model_that_is_not_there_is_the_callers_404(doors: House) -> None:
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
    "R72", "errors and answers of every door", "x-request-id stands there once, and is the record's"
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
    doors: House, method: str, path: str, content: bytes
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
