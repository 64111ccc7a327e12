"""One config for AlignCAT, QueryMatch and every ablation row of the paper."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from aligncat.errors import ConfigError

Order = Literal["coarse", "coarse-fine", "fine-coarse"]
TrainCategory = Literal["none", "label", "classifier"]
InferCategory = Literal["none", "classifier"]
CategoryStage = Literal["coarse", "confidence"]
Positive = Literal["chosen", "coarse"]
Weighting = Literal["constant", "uncertainty"]


@dataclass(frozen=True)
class AlignmentConfig:
    """Which scores choose a candidate, in which order, and how they are learned. The defaults are AlignCAT.

    Attributes:
        order: the stages. "coarse": S_coarse chooses (with no category: QueryMatch). "coarse-fine": S_coarse
            refines the candidates, S_fine chooses. "fine-coarse": S_fine keeps the best K, S_coarse chooses.
        category_train: what S_class compares with in training: c* ("label"), c^T ("classifier") or nothing.
        category_infer: the same at inference, where c* does not exist.
        category_stage: where S_class filters: in the coarse alignment, or already in the candidate set Q_O
            ("confidence", Table 5), which then also limits the negatives that an image offers to other texts.
        alpha: weight of S_class in S_coarse (Eq. 9).
        keep: K, the most candidates in the refined set.
        dim: of the shared spaces (Eq. 6, 7, 12, 13).
        temperature: tau of InfoNCE (Eq. 16).
        coarse_positive: the positive of the coarse space's loss: q* ("chosen"), or the candidate of highest S_coarse
            ("coarse"), the coarse stage's own best. They differ where the fine stage chooses.
        negatives_per_image: negative queries that a text takes from each other image.
        weighting: of Eq. 19. "constant": lambda_1 and lambda_2 as given. "uncertainty": learned, as
            exp(-s) L + s for each loss (Kendall et al., CVPR 2018), starting from lambda_1 and lambda_2. A
            config without the text classifier has one loss, and its weight stays constant. The paper's schedule is in
            a supplement that is not at hand. On MojiRef no choice can be told from another (docs/findings.md), so
            the simplest is the default.
        lambda_1: weight of the contrastive losses.
        lambda_2: weight of the text classifier's loss.
        detach_classifier: stop the classifier's gradient before f_t, so that it only reads the encoder.
    """

    order: Order = "coarse-fine"
    category_train: TrainCategory = "label"
    category_infer: InferCategory = "classifier"
    category_stage: CategoryStage = "coarse"
    alpha: float = 100.0
    keep: int = 10
    dim: int = 512
    temperature: float = 1.0
    coarse_positive: Positive = "chosen"
    negatives_per_image: int = 4
    weighting: Weighting = "constant"
    lambda_1: float = 1.0
    lambda_2: float = 1.0
    detach_classifier: bool = False

    def __post_init__(self) -> None:
        for name in ("keep", "dim", "negatives_per_image"):
            if getattr(self, name) < 1:
                raise ConfigError(f"alignment.{name} is {getattr(self, name)}; it has to be at least 1")
        for name in ("alpha", "temperature"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"alignment.{name} is {getattr(self, name)}; it has to be positive")
        for name in ("lambda_1", "lambda_2"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"alignment.{name} is {getattr(self, name)}; it cannot be negative")
        if self.category_stage == "confidence" and self.category_train == self.category_infer == "none":
            raise ConfigError(
                "alignment.category_stage is 'confidence' but no category is used: set category_train or "
                "category_infer, or category_stage to 'coarse'"
            )
        if self.weighting == "uncertainty" and not (self.lambda_1 and self.lambda_2):
            raise ConfigError("alignment.weighting 'uncertainty' starts from lambda_1 and lambda_2: give both above 0")

    @property
    def fine(self) -> bool:
        """Whether there is a fine-grained space (Eq. 10 to 14)."""
        return self.order != "coarse"

    @property
    def classifier(self) -> bool:
        """Whether there is a text classifier (Eq. 18)."""
        return "classifier" in (self.category_train, self.category_infer)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> AlignmentConfig:
        """The config of a row of the paper's tables, by its name in PRESETS, with some values changed.

        Raises:
            ConfigError: there is no such preset, or a change does not fit.
        """
        if name not in PRESETS:
            raise ConfigError(f"no alignment preset {name!r}; there are {', '.join(PRESETS)}")
        return replace(PRESETS[name], **changes)

    @property
    def stages(self) -> dict[str, Any]:
        """The fields that the rows of the paper's tables differ in, by name."""
        names = ("order", "category_train", "category_infer", "category_stage")
        return {name: getattr(self, name) for name in names}

    def with_stages(self, name: str) -> AlignmentConfig:
        """Return this config with the stages of a preset; every other field keeps its value.

        Raises:
            ConfigError: there is no such preset.
        """
        return replace(self, **AlignmentConfig.preset(name).stages)

    @classmethod
    def querymatch(cls, **changes: Any) -> AlignmentConfig:
        """QueryMatch: the candidate of highest S_global."""
        return cls.preset("querymatch", **changes)


@dataclass(frozen=True)
class Sizes:
    """The sizes of the alignment model that its inputs decide.

    Attributes:
        visual_dim: d_v, the length of the detector's query features.
        text_dim: d_t, the length of f_t and of each word's feature in F_w.
        classes: C, the number of the detector's categories.
    """

    visual_dim: int
    text_dim: int
    classes: int

    def __post_init__(self) -> None:
        for name in ("visual_dim", "text_dim", "classes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it has to be at least 1")


_NO_CATEGORY: dict[str, Any] = {"category_train": "none", "category_infer": "none"}

PRESETS: dict[str, AlignmentConfig] = {
    # The last row of Tables 3, 4 and 5.
    "aligncat": AlignmentConfig(),
    # QueryMatch; Table 3: S_global.
    "querymatch": AlignmentConfig(order="coarse", **_NO_CATEGORY),
    # Table 3: S_global + S_class.
    "global+class": AlignmentConfig(order="coarse"),
    # Table 3: S_global + S_fine; Table 4: no category.
    "global+fine": AlignmentConfig(**_NO_CATEGORY),
    # Table 3: S_fine + S_global + S_class.
    "fine+global+class": AlignmentConfig(order="fine-coarse"),
    # Table 4: c* in training, no category at inference.
    "label-in-training": AlignmentConfig(category_infer="none"),
    # Table 4: no category in training, c^T at inference; Table 5: c* is not injected.
    "classifier-at-inference": AlignmentConfig(category_train="none"),
    # Table 4: c^T in training and at inference.
    "classifier-in-both": AlignmentConfig(category_train="classifier"),
    # Table 5: c* in the confidence-based selection.
    "category-at-confidence": AlignmentConfig(category_stage="confidence"),
}
"""The config of every row of Tables 3, 4 and 5; `--alignment NAME` sets its stages."""

TABLES: dict[str, tuple[str, ...]] = {
    "Table 3": ("querymatch", "global+class", "global+fine", "fine+global+class", "aligncat"),
    "Table 4": (
        "global+fine",
        "label-in-training",
        "classifier-at-inference",
        "classifier-in-both",
        "aligncat",
    ),
    "Table 5": ("classifier-at-inference", "category-at-confidence", "aligncat"),
}
"""The presets of each ablation table, row by row."""
