"""Transformers: BERT with a classifier of tokens, and both halves of CLIP ViT-B/32."""

from __future__ import annotations

import math

import numpy as np
import onnx

from architectures.graph import Graph, Tensor


def bert(batch: int, length: int = 256, labels: int = 7) -> onnx.ModelProto:
    """BERT-base (Devlin et al., 2018), Chinese vocabulary, 256 tokens, scores of labels for each."""
    g = Graph("bert", batch)
    tokens = g.input("token_ids", length, integer=True)
    zero = g.constant(np.array(0, np.int64))
    real = g.node(
        "Cast", [g.node("Greater", [tokens, zero], tokens.shape)], tokens.shape, to=onnx.TensorProto.FLOAT
    )
    mask = g.reshape(real, batch, 1, 1, length)
    away = g.scaled(g.add(g.scaled(mask, -1.0), g.constant(np.array(1, np.float32))), -10000.0)
    x = g.add(g.lookup(21128, 768, tokens), g.drawn(1, length, 768, fan=2))
    x = g.norm(x)
    for _ in range(12):
        x = g.norm(g.add(x, attention(g, x, 12, away)))
        x = g.norm(g.add(x, g.dense(_gelu(g, g.dense(x, 3072)), 768)))
    return g.model([g.dense(x, labels)])


def attention(g: Graph, x: Tensor, heads: int, away: Tensor | str | None = None) -> Tensor:
    """Attention of x to itself. `away`: added to the scores, to keep from what is masked."""
    batch, length, width = x.shape
    each = width // heads

    def split(y: Tensor, *order: int) -> Tensor:
        return g.turn(g.reshape(y, batch, length, heads, each), *order)

    query, key, value = (g.dense(x, width) for _ in range(3))
    scores = g.matmul(split(query, 0, 2, 1, 3), split(key, 0, 2, 3, 1))
    scores = g.scaled(scores, 1 / math.sqrt(each))
    scores = scores if away is None else g.add(scores, away)
    mixed = g.matmul(g.unary("Softmax", scores, axis=-1), split(value, 0, 2, 1, 3))
    return g.dense(g.reshape(g.turn(mixed, 0, 2, 1, 3), batch, length, width), width)


def _gelu(g: Graph, x: Tensor) -> Tensor:
    inner = g.unary("Erf", g.node("Div", [x, g.constant(np.array(math.sqrt(2), np.float32))], x.shape))
    return g.scaled(g.mul(x, g.add(inner, g.constant(np.array(1, np.float32)))), 0.5)


def _clip_layers(g: Graph, x: Tensor, heads: int, away: str | None = None) -> Tensor:
    for _ in range(12):
        x = g.add(x, attention(g, g.norm(x), heads, away))
        inner = g.dense(g.norm(x), 4 * x.shape[-1])
        inner = g.mul(inner, g.unary("Sigmoid", g.scaled(inner, 1.702)))
        x = g.add(x, g.dense(inner, x.shape[-1]))
    return x


def clip_image(batch: int) -> onnx.ModelProto:
    """CLIP's (Radford et al., 2021) half for pictures, ViT-B/32 at 224x224."""
    g = Graph("clip_image", batch)
    patches = g.conv(g.input("image", 3, 224, 224), 768, 32, 32, pad=0)
    patches = g.turn(g.reshape(patches, batch, 768, 49), 0, 2, 1)
    first = Tensor(g.drawn(batch, 1, 768, fan=2), (batch, 1, 768))
    x = g.norm(g.add(g.cat([first, patches]), g.drawn(1, 50, 768, fan=2)))
    x = _clip_layers(g, x, 12)
    x = g.norm(g.reshape(g.part(x, 0, 1), batch, 768))
    return g.model([g.dense(x, 512)])


def clip_text(batch: int) -> onnx.ModelProto:
    """CLIP's half for text: 77 tokens."""
    g = Graph("clip_text", batch)
    tokens = g.input("text", 77, integer=True)
    x = g.lookup(49408, 512, tokens)
    x = g.add(x, g.drawn(1, 77, 512, fan=2))
    later = np.triu(np.full((1, 1, 77, 77), -10000.0, np.float32), 1)
    x = _clip_layers(g, x, 8, g.constant(later))
    x = g.reshape(g.norm(x), batch * 77, 512)
    last = g.node("ArgMax", [tokens], (batch,), axis=-1, keepdims=0)  # the end of the text has the largest number
    starts = g.constant(np.arange(batch, dtype=np.int64) * 77)
    chosen = g.node("Gather", [x, g.node("Add", [last, starts], (batch,))], (batch, 512), axis=0)
    return g.model([g.dense(chosen, 512)])
