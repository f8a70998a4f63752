"""The Mermaid flowchart: the same rows as the SVG, and nothing in it but plain words."""

import re
from pathlib import Path

from attrs import evolve
from click.testing import CliRunner
from lockgate.cli.main import cli
from lockgate.policy.reading.load import load_policy
from pulumi_lockgate.diagram.mermaid import MOST_EDGES, mermaid_of
from pulumi_lockgate.diagram.rows import Picture, picture
from pulumi_lockgate.proof.checks import prove

POLICY = """\
backends:
- { name: local-a, inferenceServiceRef: { name: a } }
- { name: cloud-b, tier: cloud, external: { provider: openai, model: x } }
rules:
- { name: keep, match: { dataClassification: [pii] }, route: { backends: [local-a] }, failClosed: true }
- { name: trial, match: { models: ["MODEL"] }, route: { backends: [local-a, cloud-b], strategy: shadow } }
defaultRoute: local-a
"""


def drawn(model: str = "gpt-*") -> Picture:
    policy = load_policy(POLICY.replace("MODEL", model).encode(), "policy.yaml")
    return picture(policy, prove(policy))


def test_each_stop_of_each_row_is_an_arrow_and_leaks_are_red() -> None:
    shown = drawn()
    text = mermaid_of(shown)
    assert text is not None
    arrows = re.findall(r"^  (?:sensitive|every)\d+ .*>", text, re.MULTILINE)
    assert len(arrows) == sum(len(row.stops) for row in (*shown.sensitive, *shown.every))
    leaking = [n for n, arrow in enumerate(arrows) if "LEAK" in arrow]
    assert leaking
    assert f"  linkStyle {','.join(map(str, leaking))} stroke" in text
    assert '-. "copies 10%" .->' in text
    assert '(["cloud-b"]):::cloud' in text


def test_verdict_and_digest_are_its_title() -> None:
    shown = drawn()
    text = mermaid_of(shown) or ""
    assert text.startswith(f'---\ntitle: "{shown.verdict} ({shown.digest[:19]}…)"\n---\nflowchart')


def test_nothing_from_a_policy_ends_a_label_or_the_block() -> None:
    text = mermaid_of(drawn("`]#quot;<br>|%{}")) or ""
    labels = re.findall(r'\["(.*)"\]', text)
    assert labels
    assert not [label for label in labels if re.search(r"[`|{}\[\]]|<(?!br/>)", label)]
    assert "#96;" in text
    assert "```" not in text


def test_what_nobody_could_read_is_not_drawn() -> None:
    shown = drawn()
    assert mermaid_of(evolve(shown, every=shown.every * MOST_EDGES)) is None


def test_the_command_writes_it_for_a_name_in_mmd(tmp_path: Path) -> None:
    out = tmp_path / "prod.mmd"
    done = CliRunner().invoke(cli, ["graph", "prod", "--out", str(out)])
    assert done.exit_code == 0, done.stderr
    assert "\nflowchart LR\n" in out.read_text()
