"""No image without a version: `latest` is another program tomorrow."""

from collections.abc import Iterator

from lockgate_pack.resources import Pod


def unversioned(pod: Pod) -> Iterator[str]:
    """Yield a sentence for each container whose image is not pinned to a tag or a digest."""
    for place, container in pod.containers():
        fault = _fault(container.get("image") or "")
        if fault:
            yield f"{place}.image {fault}: write a version, like image:1.2.3, or a digest"


def _fault(image: str) -> str:
    if not image:
        return "is missing"
    if "@sha256:" in image:
        return ""
    _, colon, tag = image.rpartition("/")[2].partition(":")
    if not colon or not tag:
        return f"{image!r} has no tag"
    return f"{image!r} is latest" if tag == "latest" else ""
