"""BERT, RoBERTa, XLM-R and DistilBERT: embedders and rerankers (no words are guessed by llama.cpp's).

A reranker's score goes through the pooler (BERT) or the head's own first layer (RoBERTa); both become `cls`. Upstream
leaves BERT's pooler out, so that its rerankers score wrongly, and says of no reranker that it is one. RoBERTa's first
positions belong to padding and are cut off. A network and its vocabulary need not be of one kind: the multilingual
MiniLM is a BERT with XLM-R's, at which upstream stops.
"""

from __future__ import annotations

from convert.config import Config
from convert.family import Family, Key, Rule, rule
from convert.keys import COMMON, NORM_EPSILON
from convert.operations import Cut
from convert.pooling import POOLING, RANK
from convert.taken_for_granted import GELU, both, only

HEADS = ("BertForSequenceClassification", "RobertaForSequenceClassification", "XLMRobertaForSequenceClassification")
_ATTENTION = {"self.query": "attn_q", "self.key": "attn_k", "self.value": "attn_v", "output.dense": "attn_output"}
_DISTIL = {"attention.q_lin": "attn_q", "attention.k_lin": "attn_k", "attention.v_lin": "attn_v"}
_DISTIL |= {"attention.out_lin": "attn_output", "sa_layer_norm": "attn_output_norm", "ffn.lin1": "ffn_up"}
_DISTIL |= {"ffn.lin2": "ffn_down", "output_layer_norm": "layer_output_norm"}


def _labels(config: Config) -> list[str] | None:
    """A classifier's classes in order; two without names are what is not written into config.json."""
    if "ForSequenceClassification" not in config.architecture:
        return None
    named = config.get("id2label")
    if isinstance(named, dict) and all(str(number).isdecimal() for number in named):
        return [str(named[number]) for number in sorted(named, key=int)]
    count = config.get("num_labels", default=2)
    return [f"LABEL_{number}" for number in range(count if isinstance(count, int) and 0 < count < 10_000 else 2)]


KEYS = (
    *COMMON,
    Key("attention.layer_norm_epsilon", NORM_EPSILON, "f32", default=1e-12),
    Key("attention.causal", kind="bool", default=False),
    POOLING,
    Key("tokenizer.ggml.token_type_count", ("type_vocab_size",), default=1),
)
RERANKS = (
    Key("pooling_type", default=RANK),
    Key("classifier.output_labels", kind="[str]", value=_labels),
)


def _old_names(config: Config, name: str) -> str:
    """Norms of the first checkpoints are called gamma and beta."""
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        name = name.removesuffix(old) + new if name.endswith(old) else name
    return name


def _embeddings(*positions: Cut) -> tuple[Rule, ...]:
    return (
        rule("embeddings.word_embeddings.weight", "token_embd.weight"),
        rule("embeddings.position_embeddings.weight", "position_embd.weight", *positions),
        rule("embeddings.token_type_embeddings.weight", "token_types.weight"),
        rule("embeddings.LayerNorm.{end}", "token_embd_norm.{end}"),
    )


_LAYER = "encoder.layer.{i}"
BLOCKS = (
    *(rule(f"{_LAYER}.attention.{name}.{{end}}", f"blk.{{i}}.{ours}.{{end}}") for name, ours in _ATTENTION.items()),
    rule(f"{_LAYER}.attention.output.LayerNorm.{{end}}", "blk.{i}.attn_output_norm.{end}"),
    rule(f"{_LAYER}.intermediate.dense.{{end}}", "blk.{i}.ffn_up.{end}"),
    rule(f"{_LAYER}.output.dense.{{end}}", "blk.{i}.ffn_down.{end}"),
    rule(f"{_LAYER}.output.LayerNorm.{{end}}", "blk.{i}.layer_output_norm.{end}"),
)
ACTIVATION = only(hidden_act=GELU, activation=GELU, position_embedding_type="absolute", is_decoder=False)
UNUSED = (r".*embeddings\.position_ids", r"cls\.(predictions|seq_relationship)\..*", r"lm_head\..*")
POOLER = (r"(.*\.)?pooler\.dense\.(weight|bias)",)


def _past_padding(config: Config) -> Config:
    """With the positions that padding takes counted, and those that are left."""
    if config.has("padding_positions"):
        return config
    count = 1 + config.get("pad_token_id", default=1)
    left = config.get("max_position_embeddings", default=512) - count
    return config.having(padding_positions=count, max_position_embeddings=left)


def _bert(name: str, architectures: tuple[str, ...], head: tuple[Rule, ...] = ()) -> Family:
    return Family(
        name=name,
        architectures=architectures,
        arch="bert",
        rules=(*_embeddings(), *BLOCKS, *head),
        keys=(*KEYS, *RERANKS) if head else KEYS,
        vocabulary=("wordpiece", "unigram", "bpe"),
        prefixes=("bert.", ""),
        drop=UNUSED if head else (*UNUSED, *POOLER),
        place=_old_names,
        adjust=ACTIVATION,
    )


def _roberta(name: str, architectures: tuple[str, ...], vocabulary: str, head: tuple[Rule, ...] = ()) -> Family:
    return Family(
        name=name,
        architectures=architectures,
        arch="bert",
        rules=(*_embeddings(Cut("padding_positions")), *BLOCKS, *head),
        keys=(
            *KEYS,
            Key("attention.layer_norm_epsilon", NORM_EPSILON, "f32", default=1e-5),
            *(RERANKS if head else ()),
        ),
        vocabulary=(vocabulary, "bpe", "unigram", "wordpiece"),
        prefixes=("roberta.", ""),
        drop=(*UNUSED, *POOLER),
        adjust=both(ACTIVATION, _past_padding),
    )


CLASSES = (
    rule("^bert.pooler.dense.{end}", "cls.{end}"),
    rule("^classifier.{end}", "cls.output.{end}"),
)
ROBERTA_CLASSES = (
    rule("^classifier.dense.{end}", "cls.{end}"),
    rule("^classifier.out_proj.{end}", "cls.output.{end}"),
)
DISTIL = Family(
    name="distilbert",
    architectures=("DistilBertModel", "DistilBertForMaskedLM"),
    arch="bert",
    rules=(
        *_embeddings(),
        *(
            rule(f"transformer.layer.{{i}}.{name}.{{end}}", f"blk.{{i}}.{ours}.{{end}}")
            for name, ours in _DISTIL.items()
        ),
    ),
    keys=KEYS,
    vocabulary=("wordpiece",),
    prefixes=("distilbert.", ""),
    drop=(*UNUSED, r"vocab_.*"),
    adjust=ACTIVATION,
)
FAMILIES = (
    _bert("bert", ("BertModel", "BertForMaskedLM", "BertForPreTraining")),
    _bert("bert-reranker", HEADS[:1], CLASSES),
    _roberta("roberta", ("RobertaModel", "RobertaForMaskedLM"), "bpe"),
    _roberta("roberta-reranker", HEADS[1:2], "bpe", ROBERTA_CLASSES),
    _roberta("xlm-roberta", ("XLMRobertaModel", "XLMRobertaForMaskedLM"), "unigram"),
    _roberta("xlm-roberta-reranker", HEADS[2:], "unigram", ROBERTA_CLASSES),
    DISTIL,
)
