"""The ids of requests."""

import re

from lockgate.server.request_ids import RequestIds


def test_ids_differ_and_are_of_their_process() -> None:
    ids, others = RequestIds("0a1b"), RequestIds("2c3d")
    found = [ids.next() for _ in range(9000)] + [others.next() for _ in range(300)]
    assert len(set(found)) == len(found)
    assert found[0] == "req-0a1b-0001"
    assert found[4095] == "req-0a1b-1000"
    assert found[8999] == "req-0a1b-2328"
    assert all(re.fullmatch(r"req-(0a1b|2c3d)-[0-9a-f]+", one) for one in found)
