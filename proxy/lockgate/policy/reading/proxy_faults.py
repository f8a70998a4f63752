"""What `proxy` and `endpoint` may not say."""

from collections.abc import Iterator
from typing import Final

from lockgate.policy.address import cidr_fault, is_public
from lockgate.policy.reading.origins import origin_fault
from lockgate.policy.reading.suggestions import flow, write
from lockgate.policy.reading.validate import Fault
from lockgate.policy.spec.model_router import (
    CallerMemory,
    Endpoint,
    PrivateRange,
    Proxy,
    RouterSpec,
)

MOST_REPLICAS: Final = 100
LEAST_BUDGET_BYTES: Final = 33 << 20
LEAST_EVENT_BYTES: Final = 64 << 10
MOST_EVENT_BYTES: Final = 256 << 20


def proxy_faults(spec: RouterSpec) -> Iterator[Fault]:
    """Yield every fault of `proxy` and `endpoint`."""
    proxy = spec.proxy
    yield from _replicas(proxy)
    if proxy.memory_budget is not None and proxy.memory_budget < LEAST_BUDGET_BYTES:
        yield (
            "proxy.memoryBudget",
            "is too small for one body of 32 MiB",
            "write `memoryBudget: 96Mi`",
        )
    if not LEAST_EVENT_BYTES <= proxy.max_event_bytes <= MOST_EVENT_BYTES:
        yield "proxy.maxEventBytes", "is not from 64Ki to 256Mi", "write `maxEventBytes: 8Mi`"
    yield from _private_ranges(proxy.private_ranges)
    yield from _caller_memory(proxy.caller_memory)
    if proxy.revision_history_limit is not None and proxy.revision_history_limit < 0:
        yield "proxy.revisionHistoryLimit", "is less than 0", "write `revisionHistoryLimit: 3`"
    yield from _endpoint(spec.endpoint)


def _replicas(proxy: Proxy) -> Iterator[Fault]:
    scaled, stated = proxy.autoscaling, proxy.replicas
    if scaled is None:
        if stated is not None and not 1 <= stated <= 10:
            yield "proxy.replicas", f"{stated} is not from 1 to 10", "write `replicas: 2`"
        return
    place = "proxy.autoscaling"
    if stated is not None:
        yield "proxy.replicas", "has autoscaling beside it, which sets them", "leave replicas out"
    if not 1 <= scaled.min_replicas <= scaled.max_replicas <= MOST_REPLICAS:
        stated_range = f"{scaled.min_replicas} to {scaled.max_replicas}"
        yield (
            place,
            f"{stated_range} is no range of pods from 1 to {MOST_REPLICAS}",
            "write `autoscaling: { minReplicas: 2, maxReplicas: 10 }`",
        )
    if not 1 <= scaled.cpu_percent <= 100:
        fault = f"{scaled.cpu_percent} is not from 1 to 100"
        yield f"{place}.cpuPercent", fault, "write `cpuPercent: 70`"
    requests = (proxy.resources or {}).get("requests") or {}
    if scaled.by == "hpa" and proxy.resources is not None and "cpu" not in requests:
        yield (
            "proxy.resources",
            "requests no CPU, of which autoscaling counts a share",
            'write `resources: { requests: { cpu: "1" } }`, or leave resources out',
        )


def _private_ranges(ranges: tuple[PrivateRange, ...]) -> Iterator[Fault]:
    for number, block in enumerate(ranges):
        place = f"proxy.privateRanges[{number}].cidr"
        fault = cidr_fault(block.cidr)
        if fault is not None:
            yield place, fault, "write `cidr: 100.64.0.0/10`, for example"
        elif is_public(block.cidr):
            yield (
                place,
                f"{block.cidr} holds addresses that may be anybody's",
                'leave it out, and add `attestedLocal: "WHY IT IS LOCAL"` to the backend there',
            )


def _endpoint(endpoint: Endpoint) -> Iterator[Fault]:
    if not 1 <= endpoint.port <= 65535:
        yield (
            "endpoint.port",
            f"{endpoint.port} is not a port",
            "write `port: 8080`: one from 1 to 65535",
        )
    if endpoint.node_port is not None:
        if endpoint.type != "NodePort":
            suggestion = "write `type: NodePort`, or leave nodePort out"
            yield "endpoint.nodePort", f"means nothing with type {endpoint.type}", suggestion
        elif not 30000 <= endpoint.node_port <= 32767:
            yield "endpoint.nodePort", "is outside 30000-32767", "write `nodePort: 30080`"
    for number, origin in enumerate(endpoint.cors.origins):
        place = f"endpoint.cors.origins[{number}]"
        fault = origin_fault(origin)
        if fault is not None:
            why, suggestion = fault
            yield place, f"{origin!r} {why}", write(place, flow(suggestion))


def _caller_memory(memory: CallerMemory) -> Iterator[Fault]:
    if not 0 < memory.share <= 1:
        yield (
            "proxy.callerMemory.share",
            f"{memory.share:g} is not over 0 and up to 1",
            "write `share: 0.5`",
        )
    for number, block in enumerate(memory.excepted):
        fault = cidr_fault(block)
        if fault is not None:
            yield f"proxy.callerMemory.except[{number}]", fault, "write `10.0.0.5/32`, for example"
