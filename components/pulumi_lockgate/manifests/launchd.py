"""What a Mac is told: property lists for launchd, and scripts that install and remove them.

- launchd.plist(5) and launchctl(1) of macOS
- llama-server: https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
- `iogpu.wired_limit_mb`: https://github.com/ml-explore/mlx-lm#large-models
- powermetrics(1) and newsyslog.conf(5) of macOS
"""

import plistlib
from shlex import quote
from typing import Any, Final

from pulumi_lockgate.manifests.metal import GIB, Metal

DAEMONS: Final = "/Library/LaunchDaemons"
LOGS: Final = "/var/log/lockgate"
_PATH: Final = "/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
_THROTTLE_S: Final = 30
_POWER_MS: Final = 10_000


def machine_files(metal: Metal) -> dict[str, str]:
    """Return the files for a machine, by name."""
    daemons = {f"{label}.plist": _plist(body) for label, body in _daemons(metal).items()}
    rotation = {} if not metal.apple_power_enabled else {f"{_label(metal)}.conf": _rotation(metal)}
    return {
        **daemons,
        **rotation,
        "install.sh": _install(metal, [*daemons], [*rotation]),
        "uninstall.sh": _uninstall(metal, [*daemons], [*rotation]),
    }


def _label(metal: Metal) -> str:
    return f"dev.lockgate.{metal.name}"


def arguments(metal: Metal) -> list[str]:
    """Return the server's command line: it listens at the machine's one address alone."""
    machine = metal.machine
    words = [metal.server, "--model", metal.model, "--alias", metal.name]
    words += ["--host", machine.address, "--port", str(machine.port), "--n-gpu-layers", "999"]
    if metal.context_size is not None:
        words += ["--ctx-size", str(metal.context_size)]
    if metal.parallel_slots is not None:
        words += ["--parallel", str(metal.parallel_slots)]
    if metal.tls is not None:
        words += ["--ssl-cert-file", metal.tls[0], "--ssl-key-file", metal.tls[1]]
    if metal.api_key_file is not None:
        words += ["--api-key-file", metal.api_key_file]
    return [*words, *metal.extra_args]


def _daemons(metal: Metal) -> dict[str, dict[str, Any]]:
    """Return each daemon by its label: the server, and root's own where they are wanted."""
    label, name = _label(metal), metal.name
    found: dict[str, dict[str, Any]] = {
        label: {
            "ProgramArguments": arguments(metal),
            "UserName": metal.user,
            "RunAtLoad": True,
            "KeepAlive": True,
            "ThrottleInterval": _THROTTLE_S,
            "ProcessType": "Interactive",  # else its threads go to the efficiency cores
            "EnvironmentVariables": {"PATH": _PATH},
            "StandardOutPath": f"{LOGS}/{name}.log",
            "StandardErrorPath": f"{LOGS}/{name}.log",
        }
    }
    if metal.memory_fraction is not None:
        limit = f"iogpu.wired_limit_mb={metal.gpu_megabytes}"
        found[f"{label}.memory"] = {
            "ProgramArguments": ["/usr/sbin/sysctl", limit],
            "RunAtLoad": True,
        }
    if metal.apple_power_enabled:
        log = f"{LOGS}/{name}-power.log"
        line = ["/usr/bin/powermetrics", "--samplers", "cpu_power,gpu_power"]
        found[f"{label}.power"] = {
            "ProgramArguments": [*line, "--sample-rate", str(_POWER_MS), "--output-file", log],
            "RunAtLoad": True,
            "KeepAlive": True,
            "ThrottleInterval": _THROTTLE_S,
        }
    return {key: {"Label": key, **body} for key, body in found.items()}


def _plist(body: dict[str, Any]) -> str:
    return plistlib.dumps(body, sort_keys=False).decode()


def _rotation(metal: Metal) -> str:
    """Return the line by which macOS keeps the log of the power small."""
    log = f"{LOGS}/{metal.name}-power.log"
    return f"# logfilename mode count size when flags\n{log} 640 5 10240 * J\n"


def _install(metal: Metal, daemons: list[str], rotation: list[str]) -> str:
    machine, user = metal.machine, quote(metal.user)
    needed = [metal.server, metal.model]
    needed += [*(metal.tls or ()), *([metal.api_key_file] if metal.api_key_file else [])]
    checks = "\n".join(f"readable {quote(path)}" for path in needed)
    copies = "\n".join(
        f'install -m 644 -o root -g wheel "$here/{file}" {DAEMONS}/{file}' for file in daemons
    )
    rotates = "".join(
        f'install -m 644 -o root -g wheel "$here/{file}" /etc/newsyslog.d/{file}\n'
        for file in rotation
    )
    labels = " ".join(file.removesuffix(".plist") for file in daemons)
    scheme = "https" if metal.tls else "http"
    host = f"[{machine.address}]" if ":" in machine.address else machine.address
    return f"""\
#!/bin/sh
# Installs the model server {metal.name} on this Mac: sudo sh install.sh. A second run renews it.
# Written by lockgate from the stack's lockgate:metal.{metal.name}.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
fail() {{ echo "install.sh: $*" >&2; exit 1; }}

[ "$(uname -s)" = Darwin ] || fail "this is no Mac"
[ "$(uname -m)" = arm64 ] || fail "this Mac has no Apple silicon"
[ "$(id -u)" = 0 ] || fail "run it by sudo"
id {user} >/dev/null 2>&1 || fail "there is no user {metal.user}: make it, or name another"
ifconfig | grep -qF ' {machine.address} ' || fail "{machine.address} is no address of this Mac"
readable() {{ sudo -u {user} test -r "$1" || fail "{metal.user} cannot read $1"; }}
{checks}

# the GPU takes no more than its share of the memory, and a model that does not fit is swapped
have=$(sysctl -n hw.memsize)
[ "$have" -ge {metal.memory} ] ||
    fail "$((have / {GIB})) GiB here, {metal.memory // GIB} in the stack"
size=$(stat -f %z -- {quote(metal.model)})
[ "$((size / 1048576))" -lt {metal.gpu_megabytes} ] ||
    fail "the model has $((size / 1048576)) MiB, and the GPU may have {metal.gpu_megabytes}"

for label in {labels}; do launchctl bootout "system/$label" 2>/dev/null || true; done
install -d -m 755 -o {user} -g wheel {LOGS}
{copies}
{rotates}for label in {labels}; do launchctl bootstrap system "{DAEMONS}/$label.plist"; done

echo "started; it serves when this answers 200 (a large model takes minutes to load):"
echo "  curl -i {scheme}://{host}:{machine.port}/health"
echo "its log: {LOGS}/{metal.name}.log"
"""


def _uninstall(metal: Metal, daemons: list[str], rotation: list[str]) -> str:
    labels = " ".join(file.removesuffix(".plist") for file in daemons)
    files = [f"{DAEMONS}/{file}" for file in daemons]
    files += [f"/etc/newsyslog.d/{file}" for file in rotation]
    gone = "\n".join(f"rm -f {file}" for file in files)
    limit = "" if metal.memory_fraction is None else "sysctl iogpu.wired_limit_mb=0 # macOS's own\n"
    return f"""\
#!/bin/sh
# Stops and removes the model server {metal.name} on this Mac: sudo sh uninstall.sh
set -eu
fail() {{ echo "uninstall.sh: $*" >&2; exit 1; }}

[ "$(uname -s)" = Darwin ] || fail "this is no Mac"
[ "$(id -u)" = 0 ] || fail "run it by sudo"
for label in {labels}; do launchctl bootout "system/$label" 2>/dev/null || true; done
{gone}
{limit}echo "removed; the model and {LOGS} are left"
"""
