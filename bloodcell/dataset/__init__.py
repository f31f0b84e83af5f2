"""The dataset: its classes, its file, its splits, and the one road from pixels to a network's input."""

from bloodcell.dataset.classes import CLASS_CODES, CLASS_NAMES, CLASS_NOTES, ClassNote
from bloodcell.dataset.download import download_dataset
from bloodcell.dataset.images import INPUT_SIZE, MINIMUM_SIDE, Box, Framed, frame_image, prepare_images
from bloodcell.dataset.labelled import add_labelled_set, load_labelled_set
from bloodcell.dataset.source import (
    DatasetIdentity,
    describe_status,
    find_dataset,
    identify_dataset,
)
from bloodcell.dataset.splits import (
    SPLITS,
    Matching,
    Split,
    hash_images,
    load_labels,
    load_split,
    match_images,
    verify_dataset,
)
from bloodcell.dataset.subtypes import (
    FINER_CLASSES,
    FINER_NAMES,
    SUBTYPE_COLUMNS,
    SUBTYPE_NAMES,
    SUBTYPES,
    UNKNOWN,
    find_subtypes,
)

__all__ = [
    "CLASS_CODES",
    "CLASS_NAMES",
    "CLASS_NOTES",
    "FINER_CLASSES",
    "FINER_NAMES",
    "INPUT_SIZE",
    "MINIMUM_SIDE",
    "SPLITS",
    "SUBTYPES",
    "SUBTYPE_COLUMNS",
    "SUBTYPE_NAMES",
    "UNKNOWN",
    "Box",
    "ClassNote",
    "DatasetIdentity",
    "Framed",
    "Matching",
    "Split",
    "add_labelled_set",
    "describe_status",
    "download_dataset",
    "find_dataset",
    "find_subtypes",
    "frame_image",
    "hash_images",
    "identify_dataset",
    "load_labelled_set",
    "load_labels",
    "load_split",
    "match_images",
    "prepare_images",
    "verify_dataset",
]
