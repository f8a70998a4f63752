"""Pod Security Standards, profile restricted, as its page has it.

https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted (which includes
baseline). The cluster's own admission says the same, but only at `up`, and of the pods, not of
the Deployment that asks for them.
"""

from collections.abc import Iterator
from typing import Final

from lockgate_pack.resources import Pod, Props

_VOLUMES: Final = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_SYSCTLS: Final = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
_SELINUX: Final = frozenset(
    {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
)
_SECCOMP: Final = frozenset({"RuntimeDefault", "Localhost"})


def unrestricted(pod: Pod) -> Iterator[str]:
    """Yield a sentence for each thing that the restricted profile does not admit."""
    context = pod.spec.get("securityContext") or {}
    yield from _of_pod(pod.spec, context)
    for place, container in pod.containers():
        own = container.get("securityContext") or {}
        yield from (f"{place}: {fault}" for fault in _of_container(container, own, context))


def _of_pod(spec: Props, context: Props) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"{field} must not be true"
    for volume in spec.get("volumes") or ():
        for kind in (key for key in volume if key != "name" and key not in _VOLUMES):
            yield f"volume {volume.get('name')!r} is of kind {kind}"
    for sysctl in context.get("sysctls") or ():
        if sysctl.get("name") not in _SYSCTLS:
            yield f"sysctl {sysctl.get('name')} is not a safe one"
    if context.get("runAsUser") == 0:
        yield "securityContext.runAsUser must not be 0"
    yield from _shared(context)


def _of_container(container: Props, own: Props, pod: Props) -> Iterator[str]:
    if own.get("privileged"):
        yield "securityContext.privileged must not be true"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "securityContext.allowPrivilegeEscalation must be false"
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "securityContext.runAsNonRoot must be true, here or on the pod"
    if own.get("runAsUser") == 0:
        yield "securityContext.runAsUser must not be 0"
    profile = own.get("seccompProfile") or pod.get("seccompProfile") or {}
    if profile.get("type") not in _SECCOMP:
        yield "securityContext.seccompProfile.type must be RuntimeDefault or Localhost"
    if own.get("procMount") not in {None, "Default"}:
        yield "securityContext.procMount must be Default"
    yield from _capabilities(own.get("capabilities") or {})
    yield from _shared(own)
    for port in container.get("ports") or ():
        if port.get("hostPort"):
            yield f"hostPort {port['hostPort']} must not be set"


def _capabilities(held: Props) -> Iterator[str]:
    if "ALL" not in (held.get("drop") or ()):
        yield "securityContext.capabilities.drop must have ALL"
    added = [name for name in held.get("add") or () if name != "NET_BIND_SERVICE"]
    if added:
        yield f"securityContext.capabilities.add must not have {', '.join(added)}"


def _shared(context: Props) -> Iterator[str]:
    """Yield what pods and containers may both state wrongly."""
    selinux = context.get("seLinuxOptions") or {}
    if (selinux.get("type") or "") not in _SELINUX or selinux.get("user") or selinux.get("role"):
        yield "securityContext.seLinuxOptions must keep the container's type, user and role"
    if (context.get("appArmorProfile") or {}).get("type") == "Unconfined":
        yield "securityContext.appArmorProfile must not be Unconfined"
    if (context.get("seccompProfile") or {}).get("type") == "Unconfined":
        yield "securityContext.seccompProfile must not be Unconfined"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield "securityContext.windowsOptions.hostProcess must not be true"
