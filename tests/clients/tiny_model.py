"""A language model of 200 KB for llama.cpp, made here: two layers of chance over the letters.

What it writes is noise, but tokens, grammars, tool calls, log probabilities, usage and limits are
the server's own. Output weights of what is no printable letter are zero, so that its noise is text.
"""

from pathlib import Path

import gguf
import numpy as np

LAYERS, WIDTH, INNER, HEADS = 2, 32, 64, 4
TRAINED_CONTEXT = 4096
KINDS = gguf.TokenType
SPECIAL = {
    "<unk>": KINDS.UNKNOWN,
    "<s>": KINDS.CONTROL,
    "</s>": KINDS.CONTROL,
    "<|im_start|>": KINDS.CONTROL,
    "<|im_end|>": KINDS.CONTROL,
    "<tool_call>": KINDS.USER_DEFINED,
    "</tool_call>": KINDS.USER_DEFINED,
}
ONE_CALL = {
    str(list(SPECIAL).index(name)): bias
    for name, bias in {"<|im_end|>": 100, "<tool_call>": 50, "</tool_call>": 20}.items()
}
"""The `logit_bias` under which the noise, held by a tools' grammar, is one call and its end."""

# "\u2581" is a space in vocabularies of this kind
LETTERS = ["\u2581", *(chr(code) for code in range(ord("!"), ord("~") + 1))]
TEMPLATE = (
    "{% if tools %}<|im_start|>system\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}"
    "<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content if m.content else '' }}"
    "{% for call in m.tool_calls or [] %}<tool_call>"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}'
    "</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write(path: Path) -> None:
    """Write the model: the same bytes each time."""
    writer = gguf.GGUFWriter(path, "llama")
    add_vocabulary(writer)
    add_shape(writer)
    add_weights(writer, np.random.default_rng(1))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def vocabulary() -> dict[str, gguf.TokenType]:
    """Return every token with its kind; bytes are there for text of other letters."""
    octets = {f"<0x{octet:02X}>": KINDS.BYTE for octet in range(256)}
    return {**SPECIAL, **octets, **dict.fromkeys(LETTERS, KINDS.NORMAL)}


def add_vocabulary(writer: gguf.GGUFWriter) -> None:
    tokens = vocabulary()
    names = list(tokens)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(names)
    writer.add_token_types(list(tokens.values()))
    writer.add_token_scores([0.0] * len(names))
    writer.add_unk_token_id(names.index("<unk>"))
    writer.add_bos_token_id(names.index("<s>"))
    writer.add_eos_token_id(names.index("<|im_end|>"))
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)  # else a grammar meets a space that it did not allow
    writer.add_chat_template(TEMPLATE)
    writer.add_vocab_size(len(names))


def add_shape(writer: gguf.GGUFWriter) -> None:
    writer.add_name("tiny")
    writer.add_context_length(TRAINED_CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)


def add_weights(writer: gguf.GGUFWriter, chance: np.random.Generator) -> None:
    def put(name: str, *shape: int) -> None:
        weights = chance.standard_normal(shape, np.float32)
        writer.add_tensor(f"{name}.weight", weights / np.float32(np.sqrt(shape[-1])))

    def ones(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))

    size = len(vocabulary())
    put("token_embd", size, WIDTH)
    letters = chance.standard_normal((size, WIDTH), np.float32)
    letters[: size - len(LETTERS)] = 0
    writer.add_tensor("output.weight", letters)
    ones("output_norm")
    for layer in range(LAYERS):
        for norm in ("attn_norm", "ffn_norm"):
            ones(f"blk.{layer}.{norm}")
        for matrix in ("attn_q", "attn_k", "attn_v", "attn_output"):
            put(f"blk.{layer}.{matrix}", WIDTH, WIDTH)
        put(f"blk.{layer}.ffn_gate", INNER, WIDTH)
        put(f"blk.{layer}.ffn_up", INNER, WIDTH)
        put(f"blk.{layer}.ffn_down", WIDTH, INNER)
