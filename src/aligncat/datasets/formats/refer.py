"""REFER's layout: <path>/<dataset>/refs(<split_by>).p and instances.json.

The layout is that of github.com/lichengunc/refer, in which RefCOCO, RefCOCO+ and RefCOCOg are distributed. MojiRef uses
it too, and gRefCOCO with grefs(<split_by>).json in place of the first file. A row of either is called a ref: one
referent, or all objects that the sentences mean, with the sentences. This module does not look at boxes or masks, nor
at the number of objects. The module `refer_truth` reads them for evaluation.
"""

from __future__ import annotations

from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.annotations import annotated_objects
from aligncat.datasets.formats.bad_rows import expression_text, required_photo, unique_id
from aligncat.datasets.formats.boxes import XYWH
from aligncat.datasets.formats.format import Format, ReadOptions
from aligncat.datasets.formats.layout import image_records
from aligncat.datasets.formats.refer_truth import read_refer_truth, refer_as_written
from aligncat.datasets.formats.refer_writer import write_refer
from aligncat.datasets.formats.refs import (
    ref_category,
    refer_instances,
    refs_file,
    refs_of_split,
    says_no_target,
    splits_in_refs,
)
from aligncat.datasets.split import Split
from aligncat.errors import DataError
from aligncat.files.fields import as_mapping, optional_str, optional_strs, required, required_id, required_list
from aligncat.types import Expression


def read_refer_split(config: DataConfig, split: str, options: ReadOptions) -> Split:
    """Read one split; see `load_split`."""
    instances = refer_instances(config, options.files)
    bad_rows = options.bad_rows(refs_file(config))
    referents: set[str] = set()
    expressions: dict[str, Expression] = {}
    image_names: dict[str, str] = {}
    for where, row in refs_of_split(config, split, options.files, bad_rows):
        with bad_rows:
            referent_id = unique_id(required_id(row, "ref_id", where), referents, where)
            image_id, image = instances.image(row, where)
            category = ref_category(row, instances, where)
            no_target = says_no_target(row, where)
            file_name = required_photo(image, "file_name", f"{instances.path}: image {image_id}")
            sentences = required_list(row, "sentences", where)
            if not sentences:
                raise DataError(f"{where}: 'sentences' is empty")
            referents.add(referent_id)
            bad_rows.keep_place(referent_id, where)
            for number, sentence in enumerate(sentences):
                with bad_rows:
                    place = f"{where}, sentences[{number}]"
                    expression = _expression(sentence, place, referent_id, image_id, category, no_target)
                    expressions[unique_id(expression.id, expressions, place)] = expression
                    image_names[image_id] = file_name
    images = image_records(config, image_names, bad_rows, check=options.check_images)
    kept = tuple(expression for expression in expressions.values() if expression.image_id in images)
    bad_rows.report(len(kept))
    return Split(config.dataset, split, config.split_by, images, kept)


def _expression(
    value: object, where: str, referent_id: str, image_id: str, category: str | None, no_target: bool
) -> Expression:
    """Return one sentence of a ref as an expression.

    Its text is `sent`, which every published method reads. REFER's authors cleaned it from `raw`.
    """
    sentence = as_mapping(value, where)
    return Expression(
        id=required_id(sentence, "sent_id", where),
        referent_id=referent_id,
        image_id=image_id,
        text=expression_text(required(sentence, "sent", where), where),
        category=category,
        needed=optional_strs(sentence, "needed", where),
        redundant=optional_strs(sentence, "redundant", where),
        kind=optional_str(sentence, "kind", where),
        no_target=no_target,
    )


REFER = Format(
    read_split=read_refer_split,
    read_truth=read_refer_truth,
    split_names=splits_in_refs,
    list_objects=lambda config, images, files: annotated_objects(refer_instances(config, files), images, XYWH),
    as_written=refer_as_written,
    instances=refer_instances,
    write=write_refer,
    split_by="unc",
)
