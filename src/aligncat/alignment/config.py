"""The configuration of AlignCAT, of QueryMatch and of every ablation in the paper."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from aligncat.errors import ConfigError

Order = Literal["coarse", "coarse-fine", "fine-coarse"]
TrainCategory = Literal["none", "label", "classifier"]
InferCategory = Literal["none", "classifier"]
CategoryStage = Literal["coarse", "confidence"]
Positive = Literal["chosen", "coarse"]
Weighting = Literal["constant", "uncertainty"]
Features = Literal["query", "query+appearance"]
Context = Literal["none", "relations"]
Geometry = Literal["direction", "distance", "overlap", "size"]
Space = Literal["global", "fine"]
RelationPart = Literal[Geometry, "object", "category", "order", "place", "gate", Space]

GEOMETRY: tuple[Geometry, ...] = get_args(Geometry)
"""The parts of the geometry of two boxes, `aligncat.alignment.box_geometry.pair_geometry`."""
LEAST_CONFIDENCE = 0.3
"""A candidate counts as an object of its category if its confidence is at least this share of the highest one there."""


@dataclass(frozen=True)
class AlignmentConfig:
    """Settings of the alignment model and its losses. The defaults are AlignCAT.

    `aligncat.types` explains the symbols.

    Attributes:
        order: the stages. "coarse": S_coarse chooses (without a category this is QueryMatch). "coarse-fine":
            S_coarse keeps at most K candidates and S_fine chooses. "fine-coarse": S_fine keeps the best K and
            S_coarse chooses.
        category_train: where the category of an expression in S_class comes from during training. "label": c*, from the
            data. "classifier": c^T, from the text classifier. "none": S_class is not used.
        category_infer: the same at inference, where c* is not available.
        category_stage: where the category filters candidates: in the coarse alignment ("coarse"), or already in
            the candidate set Q_O ("confidence", Table 5). With "confidence", the candidates that are filtered out
            are not used as negatives either.
        alpha: weight of S_class in S_coarse (Eq. 9).
        keep: K, the largest number of candidates in the refined set, which the first stage passes to the second.
        dim: dimension d of the shared spaces (Eq. 6, 7, 12, 13).
        temperature: temperature tau of InfoNCE (Eq. 16).
        coarse_positive: the positive in the loss of the global space: q* ("chosen"), or the candidate with the highest
            S_coarse ("coarse"). They can differ when the fine stage chooses.
        negatives_per_image: M, the number of negative queries that each text takes from each sample of another image.
        weighting: weights of the losses in Eq. 19. "constant": lambda_1 and lambda_2. "uncertainty": learned; each
            loss L becomes exp(-s) L + s (Kendall et al., CVPR 2018), with weights that start at lambda_1 and lambda_2.
            Without a text classifier there is only one loss, and its weight is constant. The paper's
            schedule of the two weights is in a supplement that is not available. On MojiRef no choice of weights makes
            a measurable difference (docs/findings.md), so the default is the simplest.
        lambda_1: weight of the contrastive losses.
        lambda_2: weight of the text classifier's loss, and of those of the second object's category and of the place
            in an order.
        detach_classifier: stop the text classifier's gradient before f_t, so that it does not train the text encoder.
        features: what a candidate's feature holds. "query": f_q, as in the paper. "query+appearance": also the columns
            that `aligncat extract --appearance true` writes, above all the colours under the candidate's mask.
        context: what a candidate is scored by beside its own feature. "none": nothing, as in the paper. "relations":
            where it lies as seen from the second object that the expression names, in an order among the other
            candidates, and in the photo (`aligncat.alignment.relations`). The score is added to the similarities in
            both shared spaces.
        context_without: the part of the relations to leave out, to measure what it contributes; None leaves out
            nothing. A part of the geometry of two boxes: "direction", "distance", "overlap" or "size". "object": no
            second object is looked for, and all neighbours count alike. "category": it is looked for without the
            category that the expression names. "order": nothing is counted. "place": where a candidate lies in the
            photo has no part. "gate": the score has no factor that depends on the expression alone. "global" or
            "fine": the score is not added in this shared space.
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
    features: Features = "query"
    context: Context = "none"
    context_without: RelationPart | None = None

    def __post_init__(self) -> None:
        if self.features not in get_args(Features):
            raise ConfigError(
                f"alignment.features is {self.features!r}; it must be one of {', '.join(get_args(Features))}"
            )
        self._check_context()
        for name in ("keep", "dim", "negatives_per_image"):
            if getattr(self, name) < 1:
                raise ConfigError(f"alignment.{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("alpha", "temperature"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"alignment.{name} is {getattr(self, name)}; it must be positive")
        for name in ("lambda_1", "lambda_2"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"alignment.{name} is {getattr(self, name)}; it must not be negative")
        if self.category_stage == "confidence" and self.category_train == self.category_infer == "none":
            raise ConfigError(
                "alignment.category_stage is 'confidence' but no category is used: set alignment.category_train or "
                "alignment.category_infer, or set alignment.category_stage to 'coarse'"
            )
        if self.weighting == "uncertainty" and not (self.lambda_1 and self.lambda_2):
            raise ConfigError(
                "alignment.weighting is 'uncertainty', so alignment.lambda_1 and alignment.lambda_2 must be above 0"
            )

    def _check_context(self) -> None:
        if self.context not in get_args(Context):
            raise ConfigError(
                f"alignment.context is {self.context!r}; it must be one of {', '.join(get_args(Context))}"
            )
        if self.context == "relations" and not self.lambda_2:
            raise ConfigError(
                "alignment.lambda_2 is 0 and alignment.context is 'relations', whose classifiers would not be trained: "
                "set alignment.lambda_2 above 0"
            )
        left_out = self.context_without
        if left_out is None:
            return
        if left_out not in get_args(RelationPart):
            raise ConfigError(
                f"alignment.context_without is {left_out!r}; it must be null or one of "
                f"{', '.join(get_args(RelationPart))}"
            )
        if self.context == "none":
            raise ConfigError(
                f"alignment.context_without is {left_out!r} and alignment.context is 'none', so there is nothing to "
                "leave out: set alignment.context to 'relations' or alignment.context_without to null"
            )
        if left_out in get_args(Space) and not self.fine:
            raise ConfigError(
                f"alignment.context_without is {left_out!r} and alignment.order is 'coarse', which has the global "
                "space only: set alignment.order to 'coarse-fine' or alignment.context_without to null"
            )

    @property
    def fine(self) -> bool:
        """Whether the model has a fine-grained space (Eq. 10 to 14)."""
        return self.order != "coarse"

    @property
    def classifier(self) -> bool:
        """Whether the model has a text classifier (Eq. 18)."""
        return "classifier" in (self.category_train, self.category_infer)

    def relates(self, space: Space) -> bool:
        """Return whether the score of relations is added to the similarities in a shared space."""
        return self.context == "relations" and self.context_without != space

    @classmethod
    def preset(cls, name: str, **changes: Any) -> AlignmentConfig:
        """Return the config of a preset, with some values changed.

        Args:
            name: a key of ALL_PRESETS.
            changes: new values by field name.

        Raises:
            ConfigError: the preset is unknown, or a change is invalid.
        """
        if name not in ALL_PRESETS:
            raise ConfigError(f"unknown alignment preset {name!r}; known presets are {', '.join(ALL_PRESETS)}")
        return replace(ALL_PRESETS[name], **changes)

    @property
    def stages(self) -> dict[str, Any]:
        """The values, by field name, in which the presets differ."""
        names = (
            "order",
            "category_train",
            "category_infer",
            "category_stage",
            "features",
            "context",
            "context_without",
        )
        return {name: getattr(self, name) for name in names}

    def with_stages(self, name: str) -> AlignmentConfig:
        """Return this config with the stages of a preset. All other fields keep their values.

        Raises:
            ConfigError: the preset is unknown.
        """
        return replace(self, **AlignmentConfig.preset(name).stages)

    @classmethod
    def querymatch(cls, **changes: Any) -> AlignmentConfig:
        """Return the config of QueryMatch, which chooses the candidate with the highest S_global."""
        return cls.preset("querymatch", **changes)


@dataclass(frozen=True)
class Sizes:
    """The sizes of the alignment model's inputs.

    Attributes:
        visual_dim: d_v, the dimension of the detector's query features, plus that of the columns beside them.
        text_dim: d_t, the dimension of f_t and of the word features F_w.
        classes: C, the number of categories of the detector.
    """

    visual_dim: int
    text_dim: int
    classes: int

    def __post_init__(self) -> None:
        for name in ("visual_dim", "text_dim", "classes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")


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
    # Table 4: no category in training, c^T at inference; Table 5: no c* in training.
    "classifier-at-inference": AlignmentConfig(category_train="none"),
    # Table 4: c^T in training and at inference.
    "classifier-in-both": AlignmentConfig(category_train="classifier"),
    # Table 5: c* in the confidence-based selection.
    "category-at-confidence": AlignmentConfig(category_stage="confidence"),
}
"""The config of each row of Tables 3, 4 and 5."""

_APPEARANCE: dict[str, Any] = {"features": "query+appearance"}
_RELATIONS: dict[str, Any] = {"context": "relations"}

FURTHER_PRESETS: dict[str, AlignmentConfig] = {
    "aligncat-plus": AlignmentConfig(**_APPEARANCE, **_RELATIONS),
    "aligncat+appearance": AlignmentConfig(**_APPEARANCE),
    "aligncat+relations": AlignmentConfig(**_RELATIONS),
    "global+class+appearance": AlignmentConfig(order="coarse", **_APPEARANCE),
    "global+class+appearance+relations": AlignmentConfig(order="coarse", **_APPEARANCE, **_RELATIONS),
    "querymatch+appearance": AlignmentConfig(order="coarse", **_NO_CATEGORY, **_APPEARANCE),
}
"""The configs that go beyond the paper: AlignCAT with appearance and relations, and the steps towards it."""

ALL_PRESETS = PRESETS | FURTHER_PRESETS
"""All presets, by name. `--alignment NAME` sets the stages of one of them."""

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
"""The preset of each row of the ablation tables."""
