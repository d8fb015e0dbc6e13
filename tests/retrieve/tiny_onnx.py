"""A cross-encoder in ONNX, written byte by byte: logits are linear in the passage's mean token id."""

from __future__ import annotations

import struct
from pathlib import Path

Field = tuple[int, "int | bytes | str"]

_FLOAT, _INT64 = 1, 7
WORDS = ["[UNK]", "[CLS]", "[SEP]", "where", "lead", "tin", "bronze", "silver", "gold"]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(*fields: Field) -> bytes:
    """A protocol buffer: numbers as varints, everything else with its length."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += _varint(number << 3) + _varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += _varint(number << 3 | 2) + _varint(len(data)) + data
    return out


def _node(op: str, inputs: list[str], output: str, *attributes: bytes) -> Field:
    fields: list[Field] = [(1, name) for name in inputs]
    return 1, message(*fields, (2, output), (4, op), *((5, attribute) for attribute in attributes))


def _value(name: str, kind: int, *dims: int | str) -> bytes:
    shape = message(*((1, message((1, d) if isinstance(d, int) else (2, d))) for d in dims))
    return message((1, name), (2, message((1, message((1, kind), (2, shape))))))


def _numbers(name: str, dims: list[int], values: list[float]) -> Field:
    packed = struct.pack(f"<{len(values)}f", *values)
    return 5, message(*((1, d) for d in dims), (2, _FLOAT), (4, packed), (8, name))


def save_onnx_classifier(
    folder: Path, *, weights: list[float], inputs: tuple[str, ...] = ("input_ids", "token_type_ids")
) -> None:
    """``logits[j] = weights[j] * sum(ids of the second text) / sum(type ids)``, and its tokenizer.

    The second text, with the ``[SEP]`` after it, is what has the type id 1.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers
    from tokenizers.processors import TemplateProcessing

    axes = message((1, "axes"), (8, 1), (20, 7))
    graph = message(
        _node("Cast", ["input_ids"], "ids", message((1, "to"), (3, _FLOAT), (20, 2))),
        _node("Cast", ["token_type_ids"], "types", message((1, "to"), (3, _FLOAT), (20, 2))),
        _node("Mul", ["ids", "types"], "second"),
        # keepdims is on by default
        _node("ReduceMean", ["second"], "mean", axes),
        _node("ReduceMean", ["types"], "share", axes),
        _node("Div", ["mean", "share"], "worth"),
        _node("MatMul", ["worth", "weights"], "logits"),
        (2, "tiny"),
        _numbers("weights", [1, len(weights)], weights),
        *((11, _value(name, _INT64, "batch", "tokens")) for name in inputs),
        (12, _value("logits", _FLOAT, "batch", len(weights))),
    )
    folder.mkdir(parents=True, exist_ok=True)
    model = message((1, 8), (7, graph), (8, message((1, ""), (2, 13))))
    (folder / "model.onnx").write_bytes(model)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
