"""Reviewed cases: what a model said, what a person said, and what both amount to."""

from bloodcell.cases.base import Case, CaseSummary
from bloodcell.cases.pictures import NewCell, NewImage, decode_pixels, encode_pixels, hash_pixels
from bloodcell.cases.records import DECISIONS, DISCARDED, LABELS, OTHER, Cell, ModelAnswer, Record
from bloodcell.cases.review import Choice, describe_record
from bloodcell.cases.store import CaseStore, open_store

__all__ = [
    "DECISIONS",
    "DISCARDED",
    "LABELS",
    "OTHER",
    "Case",
    "CaseStore",
    "CaseSummary",
    "Cell",
    "Choice",
    "ModelAnswer",
    "NewCell",
    "NewImage",
    "Record",
    "decode_pixels",
    "describe_record",
    "encode_pixels",
    "hash_pixels",
    "open_store",
]
