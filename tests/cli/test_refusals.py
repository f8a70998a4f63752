"""What a person reads whose stack file is broken: the whole text, for each of many faults.

Each row is one edit of one good stack file. `check` on the file and `plan` of the stack say the
same: file, line, path, what is wrong, and the line to write instead.
"""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lockgate.cli.main import cli

GOOD = """\
config:
  lockgate:namespace: agents
  lockgate:models:
    qwen:
      modelRef: pvc://models/qwen.gguf
      gpu: 1
  lockgate:router:
    backends:
    - name: local-qwen
      inferenceServiceRef: { name: qwen }
      capabilities: [code]
      timeouts: { firstToken: 30s }
    - name: cloud-gpt
      tier: cloud
      external:
        provider: openai
        model: gpt-5
        credentialsSecretRef: { name: openai-key }
    rules:
    - name: sensitive-stays-local
      match: { dataClassification: [pii, phi] }
      route: { backends: [local-qwen] }
      failClosed: true
    - name: complex-to-cloud
      match: { taskComplexity: complex, models: ["gpt-*"] }
      route: { backends: [cloud-gpt, local-qwen] }
      timeout: 90s
    defaultRoute: local-qwen
    policy:
      classification:
        sensitiveClassifications: [pii, phi]
        knownClassifications: [public]
      auditLog: { sink: stdout }
    proxy: { replicas: 2, memoryBudget: 96Mi }
    endpoint: { port: 80 }
"""
"""A stack file without a fault."""

BROKEN: list[tuple[str, str, list[str]]] = [
    ("failClosed: true", "failClosd: true", [
        "23: config.lockgate:router.rules[0].failClosd: is not a field; did you mean failClosed? write `failClosed: true`",
    ]),
    ("local-qwen\n      inference", "local_qwen\n      inference", [
        "9: config.lockgate:router.backends[0].name: 'local_qwen' is not a name: lower-case letters, digits and dashes, at most 63, beginning with a letter or digit; write `name: local-qwen`",
    ]),
    ("    - name: cloud-gpt\n      tier: cloud\n", "    - name: cloud-gpt\n", [
        "14: config.lockgate:router.backends[1].tier: is missing: an external backend must state it; write `tier: cloud`, or `tier: local` with an address inside or attestedLocal",
    ]),
    ("[pii, phi] }\n      route", "[pii, phii] }\n      route", [
        "21: config.lockgate:router.rules[0].match.dataClassification[1]: 'phii' is neither a sensitive nor a known label; did you mean pii? write `pii`",
    ]),
    ("[cloud-gpt, local-qwen]", "[cloud-gtp, local-qwen]", [
        "26: config.lockgate:router.rules[1].route.backends[0]: there is no backend 'cloud-gtp'; did you mean cloud-gpt? write `cloud-gpt`",
    ]),
    ("defaultRoute: local-qwen", "defaultRoute: local-qwn", [
        "28: config.lockgate:router.defaultRoute: there is no backend 'local-qwn'; did you mean local-qwen? write `defaultRoute: local-qwen`",
    ]),
    ("defaultRoute: local-qwen", "default_route: local-qwen", [
        "28: config.lockgate:router.default_route: is not a field; did you mean defaultRoute? write `defaultRoute: local-qwen`",
    ]),
    ("      failClosed: true\n", "", [
        "20: config.lockgate:router.rules[0].failClosed: is missing: rule 'sensitive-stays-local' is for sensitive data; add `failClosed: true`",
    ]),
    ("failClosed: true", 'failClosed: "true"', [
        "23: config.lockgate:router.rules[0].failClosed: is 'true', not true or false; write `failClosed: true`",
    ]),
    ("timeout: 90s", "timeout: 90", [
        "27: config.lockgate:router.rules[1].timeout: is 90, not a duration; write `timeout: 90s`",
    ]),
    ("timeout: 90s", "timeout: 90 sec", [
        "27: config.lockgate:router.rules[1].timeout: '90 sec' is not a duration like 30s or 1m30s; write `timeout: 90s`",
    ]),
    ("timeout: 90s", "timeouts: { firsttoken: 90s }", [
        "27: config.lockgate:router.rules[1].timeouts.firsttoken: is not a field; did you mean firstToken? write `firstToken: 90s`",
    ]),
    ("taskComplexity: complex", "taskComplexity: hard", [
        "25: config.lockgate:router.rules[1].match.taskComplexity: 'hard' is not one of simple, moderate, complex; write `taskComplexity: simple`, `moderate` or `complex`",
    ]),
    ("taskComplexity: complex", "taskComplexity: Complex", [
        "25: config.lockgate:router.rules[1].match.taskComplexity: 'Complex' is not one of simple, moderate, complex; did you mean complex? write `taskComplexity: complex`",
    ]),
    ('["gpt-*"]', '"gpt-*"', [
        '25: config.lockgate:router.rules[1].match.models: is \'gpt-*\', not a list; write `models: ["gpt-*"]`',
    ]),
    ('["gpt-*"]', '["gpt-[*"]', [
        '25: config.lockgate:router.rules[1].match.models[0]: \'gpt-[*\' is not a pattern: a character class is not closed; write `"gpt-\\\\[*"` to mean the character, or see Go\'s path.Match',
    ]),
    ('["gpt-*"]', "[*]", [
        '25: (document): is not YAML: did not find expected alphabetic or numeric character; put a text that begins with one of *&!%@` in quotes: `"*"`',
    ]),
    ('["gpt-*"]', "[gpt-5, 4]", [
        '25: config.lockgate:router.rules[1].match.models[1]: is 4, not a text; write `"4"`',
    ]),
    ("provider: openai", "provider: opnai", [
        "16: config.lockgate:router.backends[1].external.provider: 'opnai' is not one of openai, anthropic, litellm; did you mean openai? write `provider: openai`",
    ]),
    ("provider: openai", "provider: bedrock", [
        "16: config.lockgate:router.backends[1].external.provider: provider (bedrock) is not implemented in this version; write `provider: openai`, `anthropic` or `litellm`; a LiteLLM proxy speaks to the others",
    ]),
    ("provider: openai", "provider: ollama", [
        "16: config.lockgate:router.backends[1].external.provider: 'ollama' is not one of openai, anthropic, litellm; it speaks OpenAI's dialect: write `provider: openai`, `url: http://HOST:11434/v1`, `tier: local`",
    ]),
    ("provider: openai", "provider: vllm", [
        "16: config.lockgate:router.backends[1].external.provider: 'vllm' is not one of openai, anthropic, litellm; it speaks OpenAI's dialect: write `provider: openai`, `url: http://HOST:8000/v1`, `tier: local`",
    ]),
    ("provider: openai", "provider: gemini", [
        "16: config.lockgate:router.backends[1].external.provider: 'gemini' is not one of openai, anthropic, litellm; it has an OpenAI-compatible address: write `provider: openai` and `url: https://generativelanguage.googleapis.com/v1beta/openai`",
    ]),
    ("provider: openai", "provider: azure", [
        "16: config.lockgate:router.backends[1].external.provider: 'azure' is not one of openai, anthropic, litellm; put a LiteLLM proxy in between and write `provider: litellm` with its `url`",
    ]),
    ("credentialsSecretRef: { name: openai-key }", "credentialsSecretRef: { name: openai-key, key: OPENAI_API_KEY }", [
        "18: config.lockgate:router.backends[1].external.credentialsSecretRef.key: is not a field; leave it out: its key is the Secret's only one, or is called as the provider's tools do",
    ]),
    ("route: { backends: [cloud-gpt, local-qwen] }", "route: { backends: [cloud-gpt], fallbacks: [local-qwen] }", [
        "26: config.lockgate:router.rules[1].route.fallbacks: is not a field; the others are its fallbacks: write `backends: [FIRST, SECOND]`",
    ]),
    ("timeout: 90s", "retries: 3", [
        "27: config.lockgate:router.rules[1].retries: is not a field; a backend is asked once more at most: leave it out, or `retry: connect-only`",
    ]),
    ("timeout: 90s", "when: { labels: [pii] }", [
        "27: config.lockgate:router.rules[1].when: is not a field; did you mean match? write `match:`",
    ]),
    ("route: { backends: [cloud-gpt, local-qwen] }", "route: { backends: [{ name: cloud-gpt, weight: 3 }] }", [
        "26: config.lockgate:router.rules[1].route.backends[0]: is an object, not a text; write `cloud-gpt`",
    ]),
    ("      timeout: 90s", "      backends: [cloud-gpt]", [
        "27: config.lockgate:router.rules[1].backends: is not a field; it stands under route: write `route: { backends: [cloud-gpt] }`",
    ]),
    ("match: { taskComplexity: complex,", "match: { labels: [pii],", [
        "25: config.lockgate:router.rules[1].match.labels: is not a field; did you mean dataClassification? write `dataClassification: [LABEL]`",
    ]),
    ("      timeouts: { firstToken: 30s }\n", "      tier: local\n      external: { provider: openai, model: 'kimi-k2.5:cloud', url: 'http://10.0.0.9:11434/v1' }\n", [
        "9: config.lockgate:router.backends[0]: has both of inferenceServiceRef and external; keep one: `inferenceServiceRef: { name: NAME }` or `external: ...`",
    ]),
    ("provider: openai", "provider: OpenAI", [
        "16: config.lockgate:router.backends[1].external.provider: 'OpenAI' is not one of openai, anthropic, litellm; did you mean openai? write `provider: openai`",
    ]),
    ("        model: gpt-5\n", "", [
        "16: config.lockgate:router.backends[1].external.model: is missing; add `model: MODEL` (the model name sent up)",
    ]),
    ("model: gpt-5", "model: gpt-5\n        url: http://api.example.com/v1", [
        "18: config.lockgate:router.backends[1].external.url: plain http to a cloud backend shows its key and every prompt; write `url: https://api.example.com/v1`, or add `allowPrivateAddress: true` in external",
    ]),
    ("tier: cloud", "tier: local", [
        "14: config.lockgate:router.backends[1].tier: openai's own address is not local; write `tier: cloud`, or state external.url",
    ]),
    ("name: complex-to-cloud", "name: sensitive-stays-local", [
        "24: config.lockgate:router.rules[1].name: 'sensitive-stays-local' is already rules[0]'s; write `name: sensitive-stays-local-2`",
    ]),
    ("route: { backends: [cloud-gpt, local-qwen] }", "route: { backends: [cloud-gpt, local-qwen], strategy: fallback }", [
        "26: config.lockgate:router.rules[1].route.strategy: 'fallback' is not one of primary-fallback, weighted, shadow; did you mean primary-fallback? write `strategy: primary-fallback`",
    ]),
    ("route: { backends: [cloud-gpt, local-qwen] }", "route: [cloud-gpt, local-qwen]", [
        "26: config.lockgate:router.rules[1].route: is a list, not an object; write `route: { backends: [cloud-gpt, local-qwen] }`",
    ]),
    ("route: { backends: [cloud-gpt, local-qwen] }\n", "route: { backends: [] }\n", [
        "26: config.lockgate:router.rules[1].route.backends: is empty; write `backends: [local-qwen]`, or `route: { refuse: true }` to refuse what the rule takes",
    ]),
    ("[local-qwen] }\n      failClosed", "[cloud-gpt] }\n      failClosed", [
        "22: config.lockgate:router.rules[0].route.backends[0]: 'cloud-gpt' is a cloud backend, and the rule is for sensitive data; write `backends: [local-qwen]`: local backends only",
    ]),
    ("    - name: complex-to-cloud\n      match: ", "    - name: complex-to-cloud\n      dataClassification: [pii]\n      match: ", [
        "25: config.lockgate:router.rules[1].dataClassification: is not a field; it stands under match: write `match: { dataClassification: [pii] }`",
    ]),
    ("knownClassifications: [public]", "knownClassifications: [public, pii]", [
        "32: config.lockgate:router.policy.classification.knownClassifications[1]: 'pii' is a sensitive label too; write `knownClassifications: [public]`",
    ]),
    ("sensitiveClassifications: [pii, phi]", "sensitiveClassifications: [PII, phi]", [
        "31: config.lockgate:router.policy.classification.sensitiveClassifications[0]: 'PII' is not a label: 'P' may not be in it (lower-case letters, digits, '.', '_', '-'); write `pii`",
    ]),
    ("sensitiveClassifications", "sensitiveClassification", [
        "31: config.lockgate:router.policy.classification.sensitiveClassification: is not a field; did you mean sensitiveClassifications? write `sensitiveClassifications: [pii, phi]`",
    ]),
    ("sink: stdout", "sink: file", [
        "33: config.lockgate:router.policy.auditLog.filePath: is missing: sink is file; add `filePath: /var/log/lockgate/audit.jsonl`, or write `sink: stdout`",
    ]),
    ("sink: stdout", "sink: syslog", [
        "33: config.lockgate:router.policy.auditLog.sink: 'syslog' is not one of stdout, file; write `sink: stdout` or `file`",
    ]),
    ("sink: stdout", "sink: otlp", [
        "33: config.lockgate:router.policy.auditLog.sink: sink (otlp) is not implemented in this version; write `sink: stdout` or `file`",
    ]),
    ("replicas: 2", "replicas: two", [
        "34: config.lockgate:router.proxy.replicas: is 'two', not a whole number; write `replicas: 1`",
    ]),
    ("replicas: 2", "replicas: 0", [
        "34: config.lockgate:router.proxy.replicas: 0 is not from 1 to 10; write `replicas: 2`",
    ]),
    ("memoryBudget: 96Mi", "memoryBudget: 96 MB", [
        "34: config.lockgate:router.proxy.memoryBudget: '96 MB' is not a size; write `memoryBudget: 96Mi`",
    ]),
    ("memoryBudget: 96Mi", "memoryBudget: 1Mi", [
        "34: config.lockgate:router.proxy.memoryBudget: is too small for one body of 32 MiB; write `memoryBudget: 96Mi`",
    ]),
    ("port: 80 }", "port: 70000 }", [
        "35: config.lockgate:router.endpoint.port: 70000 is not a port; write `port: 8080`: one from 1 to 65535",
    ]),
    ("port: 80 }", "port: 80, nodePort: 30080 }", [
        "35: config.lockgate:router.endpoint.nodePort: means nothing with type ClusterIP; write `type: NodePort`, or leave nodePort out",
    ]),
    ("lockgate:router:", "lockgate:ruoter:", [
        "7: config.lockgate:ruoter: is not a field; did you mean lockgate:router? write `lockgate:router:`",
    ]),
    ("lockgate:namespace", "lockgate:namepsace", [
        "2: config.lockgate:namepsace: is not a field; did you mean lockgate:namespace? write `lockgate:namespace: agents`",
    ]),
    ("modelRef: pvc", "modelref: pvc", [
        '5: config.lockgate:models.qwen.modelref: is not a field; did you mean modelRef? write `modelRef: "pvc://models/qwen.gguf"`',
    ]),
    ("pvc://models/", "hf://models/", [
        "5: config.lockgate:models.qwen.modelRef: is a folder, and this runtime is given a file; name the file in it, or write `fetch: { file: NAME.gguf }`",
    ]),
    ("      gpu: 1", "      gpu: one", [
        "6: config.lockgate:models.qwen.gpu: is 'one', not a whole number; write `gpu: 1`",
    ]),
    ("lockgate:models:", "lockgate:modles:", [
        "3: config.lockgate:modles: is not a field; did you mean lockgate:models? write `lockgate:models:`",
    ]),
    ("credentialsSecretRef: { name: openai-key }", "credentialsSecretRef: openai-key", [
        "18: config.lockgate:router.backends[1].external.credentialsSecretRef: is 'openai-key', not an object; write `credentialsSecretRef: { name: openai-key }`",
    ]),
    ("credentialsSecretRef: { name: openai-key }", "credentialsSecretRef: { nmae: openai-key }", [
        "18: config.lockgate:router.backends[1].external.credentialsSecretRef.nmae: is not a field; did you mean name? write `name: openai-key`",
    ]),
    ("credentialsSecretRef: { name: openai-key }", "apiKey: sk-123", [
        "18: config.lockgate:router.backends[1].external.apiKey: is not a field; did you mean credentialsSecretRef? write `credentialsSecretRef: { name: NAME }`",
    ]),
    ("    rules:\n", "\trules:\n", [
        "19: (document): is indented with a tab; write spaces",
    ]),
    ("failClosed: true", "failClosed: true\n      failClosed: false", [
        "24: config.lockgate:router.rules[0].failClosed: stands twice (first on line 23); keep line 23 or line 24",
    ]),
    ("rules:\n", "rules:\n    -\n", [
        "20: config.lockgate:router.rules[0]: is empty, not an object; write `{ name: NAME, route: { backends: [BACKEND] } }`",
    ]),
    ("      capabilities: [code]", "      capabilities: [code", [
        "12: (document): is not YAML: did not find expected ',' or ']' while parsing a flow sequence that begins on line 11; end it, or fix line 11",
    ]),
    ("    backends:\n", "    backends: &b\n", [
        "8: (document): uses an anchor or an alias; write the value out; quote a leading * or &",
    ]),
    ("match: { dataClassification", "match: { headers: { 'x y': a }, dataClassification", [
        "21: config.lockgate:router.rules[0].match.headers.x y: 'x y' is not a header name; write `x-y: a`",
    ]),
    ('gpt-*"] }', 'gpt-*"], requiredCapabilities: [cod] }', [
        "25: config.lockgate:router.rules[1].match.requiredCapabilities[0]: no backend of the rule has 'cod'; did you mean code? write `code`",
    ]),
    ("auditLog: { sink: stdout }", "audit: {}", [
        "33: config.lockgate:router.policy.audit: is not a field; did you mean auditLog? write `auditLog: {}`",
    ]),
    ("    endpoint", "    endpiont", [
        "35: config.lockgate:router.endpiont: is not a field; did you mean endpoint? write `endpoint: { port: 80 }`",
    ]),
    ("inferenceServiceRef: { name: qwen }", "inferenceServiceRef: { name: qwen }\n      external: { provider: openai, model: x }", [
        "9: config.lockgate:router.backends[0]: has both of inferenceServiceRef and external; keep one: `inferenceServiceRef: { name: NAME }` or `external: ...`",
        "11: config.lockgate:router.backends[0].tier: is missing: an external backend must state it; write `tier: cloud`, or `tier: local` with an address inside or attestedLocal",
    ]),
    ("      inferenceServiceRef: { name: qwen }\n", "", [
        "9: config.lockgate:router.backends[0]: has neither of inferenceServiceRef and external; keep one: `inferenceServiceRef: { name: NAME }` or `external: ...`",
    ]),
    ("config:", "confg:", [
        "1: confg: is not a key of a stack file; did you mean config? write `config:`",
    ]),
    ("[pii, phi] }\n      route", "[рii, phi] }\n      route", [
        "21: config.lockgate:router.rules[0].match.dataClassification[0]: 'рii' is neither a sensitive nor a known label: 'р' is CYRILLIC SMALL LETTER ER (U+0440), not ASCII; did you mean pii? write `pii`",
    ]),
    ("name: complex-to-cloud", "name: [complex]", [
        "24: config.lockgate:router.rules[1].name: is a list, not a text; write `name: TEXT`",
    ]),
    ("        provider: openai\n", "        kind: openai\n", [
        "16: config.lockgate:router.backends[1].external.kind: is not a field; leave it out, or write one of allowPrivateAddress, provider, url",
        "16: config.lockgate:router.backends[1].external.provider: is missing; add `provider: openai` (whose dialect the backend speaks)",
    ]),
    ("capabilities: [code]", "attestedLocal: rack 7", [
        "11: config.lockgate:router.backends[0].attestedLocal: is for external backends; leave it out: it is local already",
    ]),
    ("model: gpt-5", "model: gpt-5\n        url: api.openai.com", [
        "18: config.lockgate:router.backends[1].external.url: 'api.openai.com' is not an http or https URL; write `url: https://api.openai.com`",
    ]),
    ("route: { backends: [cloud-gpt, local-qwen] }", "route: { backends: [cloud-gpt, local-qwen], strategy: shadow, shadowPercent: 0 }", [
        "26: config.lockgate:router.rules[1].route.shadowPercent: is not from 1 to 100; write `shadowPercent: 10`",
    ]),
    ("route: { backends: [cloud-gpt, local-qwen] }", "route: { backends: [cloud-gpt, cloud-gpt] }", [
        "26: config.lockgate:router.rules[1].route.backends[1]: 'cloud-gpt' stands twice; write `backends: [cloud-gpt]`",
    ]),
    ("      timeout: 90s", "      timeouts: 90s", [
        "27: config.lockgate:router.rules[1].timeouts: is '90s', not an object; write `timeouts: { connect: 30s }`",
    ]),
    ('"gpt-*"]', '"gpt-*"], headers: [x-team]', [
        "25: config.lockgate:router.rules[1].match.headers: is a list, not a mapping; write `headers: { KEY: VALUE }`",
    ]),
    ("modelRef: pvc://models/qwen.gguf", "modelRef: /models/qwen.gguf", [
        "5: config.lockgate:models.qwen.modelRef: '/models/qwen.gguf' is not pvc://CLAIM/PATH; write `modelRef: pvc://CLAIM/PATH`, or where it is fetched from",
    ]),
    ("lockgate:models:\n    qwen:\n", "lockgate:models:\n    qwen: pvc://models/q\n    other:\n", [
        '4: config.lockgate:models.qwen: is \'pvc://models/q\', not an object; write `qwen: { modelRef: "pvc://models/q" }`',
    ]),
    ("provider: openai", "provider: litellm", [
        "16: config.lockgate:router.backends[1].external.url: is missing: a litellm backend has no address of its own; add `url: https://HOST`, or `lockgate:litellmUrl: https://HOST` for all of them",
    ]),
    ("capabilities: [code]", "contextLength: 0", [
        "11: config.lockgate:router.backends[0].contextLength: is less than 1; state it in tokens: `contextLength: 32768`",
    ]),
    ("failClosed: true\n    - name: complex-to-cloud\n", "failclosed: true\n    - nmae: complex-to-cloud\n", [
        "23: config.lockgate:router.rules[0].failclosed: is not a field; did you mean failClosed? write `failClosed: true`",
        "24: config.lockgate:router.rules[1].nmae: is not a field; did you mean name? write `name: complex-to-cloud`",
    ]),
    ("auditLog: { sink: stdout }", "invariants: [{ name: a, nevr: { tier: cloud } }]", [
        "33: config.lockgate:router.policy.invariants[0].nevr: is not a field; did you mean never? write `never: { tier: cloud }`",
    ]),
    ("auditLog: { sink: stdout }", "invariants: [{ name: a, when: { labels: [phii] }, never: { tier: cloud } }]", [
        "33: config.lockgate:router.policy.invariants[0].when.labels[0]: 'phii' is neither a sensitive nor a known label; did you mean pii? write `pii`",
    ]),
    ("auditLog: { sink: stdout }", "invariants: [{ name: a, when: { label: [phi] }, never: { tier: cloud } }]", [
        "33: config.lockgate:router.policy.invariants[0].when.label: is not a field; did you mean labels? write `labels: [phi]`",
    ]),
    ("auditLog: { sink: stdout }", "invariants: [{ name: a, never: { tier: clod } }]", [
        "33: config.lockgate:router.policy.invariants[0].never.tier: 'clod' is not one of local, cloud; did you mean cloud? write `tier: cloud`",
    ]),
    ("auditLog: { sink: stdout }", "invariants: [{ name: a, never: { backends: [cloud-gtp] } }]", [
        "33: config.lockgate:router.policy.invariants[0].never.backends[0]: there is no backend 'cloud-gtp'; did you mean cloud-gpt? write `cloud-gpt`",
    ]),
    ("auditLog: { sink: stdout }", "invariants: [{ name: a }]", [
        "33: config.lockgate:router.policy.invariants[0].never: is missing, and so is only; add `never: { tier: cloud }`",
    ]),
    ("auditLog: { sink: stdout }", "invariants: [{ name: a, never: { tier: cloud }, only: { tier: local } }]", [
        "33: config.lockgate:router.policy.invariants[0]: has both never and only; keep one, like `never: { tier: cloud }`",
    ]),
    ("auditLog: { sink: stdout }", "invariants: { name: a }", [
        "33: config.lockgate:router.policy.invariants: is an object, not a list; write `invariants: [{ name: a }]`",
    ]),
    ("auditLog: { sink: stdout }", "invariants: [{ name: a, when: { models: ['[a'] }, only: { tier: local } }]", [
        "33: config.lockgate:router.policy.invariants[0].when.models[0]: '[a' is not a pattern: a character class is not closed; see Go's path.Match, like `gpt-*`",
    ]),
    ("auditLog: { sink: stdout }", "invariants: [{ name: a, never: { tier: cloud } }, { name: a, never: { tier: cloud } }]", [
        "33: config.lockgate:router.policy.invariants[1].name: 'a' is already policy.invariants[0]'s; write `name: a-2`",
    ]),
]  # fmt: skip
"""(what is replaced, by what, the lines that are said, each without the file's name)."""


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the stack dev, in a project of its own."""
    (tmp_path / "Pulumi.yaml").write_text("name: lockgate\nruntime: python\n")
    (tmp_path / "stacks").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "stacks" / "Pulumi.dev.yaml"


def lockgate(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_the_stack_file_that_all_of_them_break_is_good(stack: Path) -> None:
    stack.write_text(GOOD)
    done = lockgate("check", str(stack))
    assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.parametrize(("old", "new", "said"), BROKEN, ids=lambda value: None)
def test_a_broken_stack_file_is_refused_in_these_words(
    stack: Path, old: str, new: str, said: list[str]
) -> None:
    assert old in GOOD
    stack.write_text(GOOD.replace(old, new, 1))
    wanted = "".join(f"{stack}:{line}\n" for line in said)
    for command, named in (("check", str(stack)), ("plan", "dev")):
        done = lockgate(command, named)
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr == wanted


def test_there_are_forty_of_them_and_no_two_are_one() -> None:
    assert len({(old, new) for old, new, _ in BROKEN}) == len(BROKEN) >= 40


def test_each_says_a_line_to_write_or_what_to_do_with_the_one_there() -> None:
    no_line = (
        "leave it out",
        "stands at",
        "write spaces",
        "keep line",
        "end it",
        "write the value",
    )
    for _, _, said in BROKEN:
        for line in said:
            suggestion = line.partition("; ")[2]
            assert "`" in suggestion or any(words in suggestion for words in no_line), line
