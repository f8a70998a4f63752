"""What serves a model: images, commands and arguments of each runtime, as its own help says them.

- llama.cpp: https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md, and
  docs/docker.md there for the images by kind of GPU
- vLLM: https://docs.vllm.ai/en/v0.11.0/cli/serve.html; the model is its positional argument, and
  the command is stated, since the image's own entry point changed between releases
- SGLang: https://docs.sglang.io/advanced_features/server_arguments.html
"""

from typing import Any, Final

from pulumi_lockgate.manifests.model_server import MODEL_FOLDER, NVIDIA, SCRATCH, Inference

_LLAMACPP: Final = "ghcr.io/ggml-org/llama.cpp:server{kind}-b6800"
_KINDS: Final = {NVIDIA: "-cuda", "amd.com/gpu": "-rocm", "gpu.intel.com/i915": "-intel"}
"""The resource that a GPU's device plugin has, and how llama.cpp calls its image for it."""
_IMAGES: Final = {
    "vllm": "vllm/vllm-openai:v0.11.0",
    "sglang": "lmsysorg/sglang:v0.5.4",
}
_COMMANDS: Final = {
    "vllm": ["vllm", "serve"],
    "sglang": ["python3", "-m", "sglang.launch_server"],
}
_ANYWHERE: Final = "0.0.0.0"  # noqa: S104 - a pod
MODEL_PATH: Final = "MODEL_PATH"
"""Says to a runtime that is not known where the model is; `$(MODEL_PATH)` in its arguments."""
_ENVIRONMENT: Final = {
    # the user has no entry in the images' /etc/passwd, and PyTorch asks for a name and a home
    "HOME": SCRATCH,
    "USER": "lockgate",
    "TMPDIR": SCRATCH,
    # nothing is let out, so nothing is asked for: a try would only be waited for
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}


def image(inference: Inference) -> str:
    """Return the image that is run: the stated one, else the runtime's for that kind of GPU."""
    if inference.image is not None:
        return inference.image
    if inference.runtime == "llamacpp":
        kind = _KINDS.get(inference.gpu_resource, "") if inference.gpu else ""
        return _LLAMACPP.format(kind=kind)
    return _IMAGES[inference.runtime]


def command(inference: Inference) -> list[str]:
    """Return the command, empty where the image's own entry point is the right one."""
    return list(inference.command) or _COMMANDS.get(inference.runtime, [])


def environment(inference: Inference) -> list[dict[str, Any]]:
    """Return the variables, of which those that are stated win."""
    stated = [dict(one) for one in inference.env]
    names = {one.get("name") for one in stated}
    own = dict(_ENVIRONMENT)
    if inference.runtime == "generic" and inference.path:
        own[MODEL_PATH] = _model(inference)
    ours = [{"name": k, "value": v} for k, v in own.items() if k not in names]
    return [*ours, *stated]


def arguments(inference: Inference) -> list[str]:
    """Return the arguments; what is stated comes last, and wins."""
    return [*_OWN[inference.runtime](inference), *inference.extra_args]


def _llamacpp(inference: Inference) -> list[str]:
    found = ["--model", _model(inference), "--alias", inference.name]
    found += ["--host", _ANYWHERE, "--port", str(inference.port)]
    found += _stated("--ctx-size", inference.context_size)
    found += _stated("--parallel", inference.parallel_slots)
    return [*found, *(["--n-gpu-layers", "999"] if inference.gpu else [])]


def _vllm(inference: Inference) -> list[str]:
    found = [_model(inference), "--served-model-name", inference.name]
    found += ["--host", _ANYWHERE, "--port", str(inference.port)]
    found += _stated("--max-model-len", inference.context_size)
    found += _stated("--max-num-seqs", inference.parallel_slots)
    return [*found, *_stated("--tensor-parallel-size", _several(inference))]


def _sglang(inference: Inference) -> list[str]:
    found = ["--model-path", _model(inference), "--served-model-name", inference.name]
    found += ["--host", _ANYWHERE, "--port", str(inference.port)]
    found += _stated("--context-length", inference.context_size)
    found += _stated("--max-running-requests", inference.parallel_slots)
    return [*found, *_stated("--tensor-parallel-size", _several(inference))]


def _generic(_: Inference) -> list[str]:
    return []


_OWN: Final = {
    "llamacpp": _llamacpp,
    "vllm": _vllm,
    "sglang": _sglang,
    "generic": _generic,
}


def _model(inference: Inference) -> str:
    path = inference.path
    return path if path.startswith("/") else f"{MODEL_FOLDER}/{path}"


def _several(inference: Inference) -> int | None:
    return inference.gpu if inference.gpu > 1 else None


def _stated(flag: str, value: int | None) -> list[str]:
    return [] if value is None else [flag, str(value)]
