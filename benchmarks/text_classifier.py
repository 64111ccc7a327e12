"""Compare text encoders for the text classifier (Eq. 18 on f_t) on expressions that people wrote.

    python benchmarks/text_classifier.py FILE

FILE is a JSON list of {"image_id", "expression", "category"}. The classifier learns from 3,000 expressions and is
tested on the expressions of all other images, beside the lexicon, which learns from none. Sizes come from
configs/mojiref.yaml. The numbers of steps and the learning rates were fixed beforehand, so nothing is tuned on the test
expressions.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev

import torch
from rich.console import Console
from torch import Tensor, nn

from aligncat.datasets.categories import COCO_NAMES
from aligncat.datasets.lexicon import Lexicon
from aligncat.language.config import TextEncoderConfig
from aligncat.language.encoder import TextEncoder
from aligncat.language.pretrained import load_pretrained_text
from aligncat.language.tokens import Tokens
from aligncat.language.transformer import TransformerTextEncoder
from aligncat.language.vectors import GLOVE_50D, first_words, load_word_vectors
from aligncat.language.vocabulary import UNK, Vocabulary
from aligncat.training.presets import load_preset

TRAIN = 3000
BATCH = 64


@dataclass(frozen=True)
class Row:
    """A compared encoder.

    Attributes:
        text: settings of the encoder.
        vectors: whether it starts from word vectors.
        epochs: passes over the training expressions.
    """

    text: TextEncoderConfig
    vectors: bool = False
    epochs: int = 12


def rows(word_dim: int) -> dict[str, Row]:
    """Return the compared encoders by name; `word_dim` is the dimension of the word vectors."""
    text = load_preset("mojiref").text
    glove = replace(text, word_dim=word_dim)
    return {
        "from scratch": Row(text),
        "vectors, trained on": Row(glove, vectors=True),
        "vectors, frozen, 50,000 words": Row(
            replace(glove, freeze_vectors=True, vector_words=50_000, unknown_rate=0.0), vectors=True
        ),
        "MiniLM, frozen": Row(replace(text, encoder="minilm"), epochs=6),
        "MiniLM, trained": Row(replace(text, encoder="minilm", train_encoder=True), epochs=3),
    }


class Classifier(nn.Module):
    """A text encoder with a linear layer from f_t to the categories."""

    def __init__(self, row: Row, texts: list[str], vectors: Path, seed: int) -> None:
        super().__init__()
        self.tokens: Tokens
        self.encoder: TextEncoder | TransformerTextEncoder
        if row.text.recurrent:
            vocabulary = Vocabulary.from_expressions(texts)
            if row.text.vector_words:
                vocabulary = vocabulary.with_words(first_words(vectors, row.text.vector_words, vocabulary.rule))
            table = load_word_vectors(vectors, vocabulary, seed=seed).table if row.vectors else None
            self.tokens, self.encoder = vocabulary, TextEncoder(row.text, len(vocabulary), table)
        else:
            pretrained = load_pretrained_text(row.text.encoder)
            self.tokens, self.encoder = pretrained.pieces, TransformerTextEncoder(row.text, pretrained)
        self.head = nn.Linear(row.text.dim, len(COCO_NAMES))

    def forward(self, texts: list[str]) -> Tensor:
        logits: Tensor = self.head(self.encoder(self.tokens.encode(texts, self.encoder.config.max_length)).sentences)
        return logits


def learn(row: Row, texts: list[str], labels: Tensor, vectors: Path, seed: int) -> Classifier:
    torch.manual_seed(seed)
    model = Classifier(row, texts, vectors, seed)
    pretrained = [p for name, p in model.named_parameters() if ".transformer." in name]
    own = [p for name, p in model.named_parameters() if ".transformer." not in name and p.requires_grad]
    groups = [{"params": own, "lr": 1e-3}, {"params": pretrained, "lr": 5e-5}]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]])
    steps = row.epochs * (len(texts) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    for _ in range(row.epochs):
        for batch in torch.split(torch.randperm(len(texts)), BATCH)[: len(texts) // BATCH]:
            loss = nn.functional.cross_entropy(model([texts[i] for i in batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return model.eval()


@torch.inference_mode()
def right(model: Classifier, texts: list[str], labels: Tensor) -> float:
    found = torch.cat([model(texts[i : i + 256]).argmax(dim=1) for i in range(0, len(texts), 256)])
    return float((found == labels).float().mean())


def divide(data: list[dict[str, object]]) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Return 3,000 training expressions, and the test expressions of all other images."""
    images = sorted({row["image_id"] for row in data}, key=str)
    random.Random(0).shuffle(images)
    place = {image: index for index, image in enumerate(images)}
    ordered = sorted(data, key=lambda row: place[row["image_id"]])
    train = ordered[:TRAIN]
    seen = {row["image_id"] for row in train}
    return train, [row for row in ordered[TRAIN:] if row["image_id"] not in seen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--word_vectors", type=Path, default=GLOVE_50D)
    parser.add_argument("--word_dim", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds; the slow rows of MiniLM use one")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    train, test = divide(json.loads(arguments.file.read_text(encoding="utf-8")))
    texts, unseen = ([str(row["expression"]) for row in part] for part in (train, test))
    labels, truth = (torch.tensor([COCO_NAMES.index(str(row["category"])) for row in part]) for part in (train, test))
    unknown = Vocabulary.from_expressions(texts).encode(unseen, 20) == UNK

    console = Console(width=120)
    console.print(
        f"{len(texts)} expressions to learn from, {len(unseen)} to measure on; {unknown.any(dim=1).float().mean():.0%} "
        f"of these have a word that the former lack; {(truth == 0).float().mean():.1%} are of a person",
        highlight=False,
    )
    lexicon = Lexicon.load()
    answers = [lexicon.category(text) for text in unseen]
    hits = sum(answer == row["category"] for answer, row in zip(answers, test, strict=True))
    answered = sum(answer is not None for answer in answers)
    console.print("| reads with | right | seeds | CPU seconds each |\n| --- | --- | --- | --- |")
    console.print(f"| the lexicon | {hits / len(test):.1%} | | |", highlight=False)
    console.print(f"| the lexicon, of the {answered} that it answers | {hits / answered:.1%} | | |", highlight=False)
    for name, row in rows(arguments.word_dim).items():
        started = time.process_time()
        seeds = range(arguments.seeds if row.text.recurrent else 1)
        scores = [right(learn(row, texts, labels, arguments.word_vectors, seed), unseen, truth) for seed in seeds]
        spread = f" ± {100 * stdev(scores):.1f}" if len(scores) > 1 else ""
        seconds = (time.process_time() - started) / len(scores)
        console.print(f"| {name} | {mean(scores):.1%}{spread} | {len(scores)} | {seconds:.0f} |", highlight=False)


if __name__ == "__main__":
    main()
