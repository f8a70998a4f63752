"""Tells the demo's story on the screen, at 80 columns."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any, Final

import click
from lockgate.policy.reading.load import load_policy

from pulumi_lockgate.demo.processes import RunningDemo, running_demo
from pulumi_lockgate.demo.story import Actor, Shown, StepFailedError, acts
from pulumi_lockgate.planned import render_plan
from pulumi_lockgate.proof.checks import prove
from pulumi_lockgate.stack.evaluate import evaluate, read_stack
from pulumi_lockgate.stack.project import SHIPPED

STACK: Final = "dev"
FILES: Final = Path(__file__).resolve().parent / "files"
PUBLISHED: Final = FILES / "llmkube-readme.yaml"
MENDED: Final = FILES / "llmkube-readme-mended.yaml"
_WIDTH: Final = 78


def run() -> int:
    """Run the demo; return the exit status."""
    started = time.monotonic()
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _leave)  # a closed terminal must not leave the proxy behind
    _title("1. What the dev stack would create, evaluated without an engine")
    plan = evaluate(STACK, read_stack(FILES / "Pulumi.dev.yaml"), program=SHIPPED)
    render_plan(STACK, plan, click.echo)
    _title("2. The policy.json of that plan drives a proxy")
    _say(
        "Two stand-ins play the models: local-qwen and cloud-gpt. They are programs with canned "
        "words, not models. The proxy is the real one; the client is the openai SDK."
    )
    with running_demo(plan.policy_json) as demo:
        try:
            _story(demo)
            _published()
        except (StepFailedError, OSError) as failed:
            click.echo(click.style(f"\nFAILED: {failed}", fg="red", bold=True))
            return 1
        click.echo(
            click.style("\nEvery step showed what it should", fg="green", bold=True)
            + f" ({time.monotonic() - started:.0f} s)."
        )
        if sys.stdout.isatty() and not os.environ.get("CI"):
            _stay(demo)
    return 0


def _leave(number: int, _: object) -> None:
    sys.exit(128 + number)


def _story(demo: RunningDemo) -> None:
    for step, shown in acts(Actor(demo)):
        _step(step.claim, shown)


def _step(claim: str, shown: Shown) -> None:
    click.echo(f"\n{click.style('ok', fg='green', bold=True)}  {click.style(claim, bold=True)}")
    click.echo(f"    {shown.said}")
    for line in _audit_lines(shown.record):
        click.echo(click.style(f"    {line}", dim=True))


def _audit_lines(record: dict[str, Any]) -> list[str]:
    """Return the parts of an audit record that tell this story."""
    labels = ",".join(record["labels"] or ()) or "-"
    tried = " ".join(f"{a['backend']}:{a['outcome']}" for a in record["attempts"]) or "-"
    text = (
        f"audit: rule={record['rule']} labels={labels} outcome={record['outcome']} "
        f"terminal={record['terminal']} status={record['status']} "
        f"ms={record['latency_ms']:.0f} attempts=[{tried}]"
    )
    return textwrap.wrap(text, _WIDTH - 4, subsequent_indent="       ", break_on_hyphens=False)


def _published() -> None:
    """Check the example that LLMKube's README publishes, by the command line itself."""
    broken = _check(PUBLISHED)
    report = prove(load_policy(PUBLISHED.read_bytes(), str(PUBLISHED)))
    leak = report.leaks[0] if report.leaks else None
    if broken.returncode != 1 or leak is None or leak.labels != ("phi",):
        raise StepFailedError("LLMKube's published example was not refused with a phi request")
    claim = "LLMKube's published example leaks: `lockgate check` shows how"
    click.echo(f"\n{click.style('ok', fg='green', bold=True)}  {click.style(claim, bold=True)}")
    shown, _, _ = broken.stdout.partition("\n  and keep it")
    for line in shown.splitlines():
        click.echo(f"    {line}" if not line.startswith("curl") else line)
    if _check(MENDED).returncode != 0:
        raise StepFailedError("the corrected example does not pass")
    click.echo(f"\n{click.style('ok', fg='green', bold=True)}  With phi in the rule it passes")


def _check(path: Path) -> "subprocess.CompletedProcess[str]":
    arguments = [sys.executable, "-m", "lockgate.cli.main", "check", str(path)]
    return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)


def _stay(demo: RunningDemo) -> None:
    """Leave the proxy up for whoever wants to try it."""
    _title("The proxy stays up: Ctrl-C ends it")
    _say("local-qwen was killed above, so this goes to the stand-in of the cloud:")
    click.echo(f"curl {demo.url}/v1/chat/completions \\")
    click.echo('  -d \'{"model": "any", "messages": [{"role": "user", "content": "hi"}]}\'')
    click.echo(f"metrics: {demo.admin_url}/metrics")
    try:
        demo.proxy.wait()
    except KeyboardInterrupt:
        click.echo()


def _title(text: str) -> None:
    click.echo("\n" + click.style(text, bold=True) + "\n" + "-" * len(text))


def _say(text: str) -> None:
    click.echo(textwrap.fill(text, _WIDTH))
