"""The eight classes, in the order of their labels 0 to 7."""

from dataclasses import dataclass

CLASS_NAMES: tuple[str, ...] = (
    "basophil",
    "eosinophil",
    "erythroblast",
    "immature granulocyte",
    "lymphocyte",
    "monocyte",
    "neutrophil",
    "platelet",
)

CLASS_CODES: tuple[str, ...] = ("BA", "EO", "ERB", "IG", "LY", "MO", "NEU", "PLT")


@dataclass(frozen=True)
class ClassNote:
    """How a haematologist recognises a class in a stained smear, in one sentence, and who says so."""

    text: str
    source: str


_MANUAL = "WHO, Manual of basic techniques for a health laboratory, 2nd ed., 2003, "

CLASS_NOTES: dict[str, ClassNote] = {
    "basophil": ClassNote(
        "Very large, round, deep purple granules, less tightly packed than an eosinophil's, lie over the nucleus and "
        "all but hide it.",
        _MANUAL + "p. 311",
    ),
    "eosinophil": ClassNote(
        "Large, round, orange-red granules fill the cytoplasm, and the nucleus usually has two lobes.",
        _MANUAL + "p. 311",
    ),
    "erythroblast": ClassNote(
        "A round nucleus, small and very dense in the late forms, sits in a cytoplasm that turns from deep blue over "
        "grey to pink as haemoglobin fills it.",
        "T. Scordino, 2016, imagebank.hematology.org/image/60293 and 60294",
    ),
    "immature granulocyte": ClassNote(
        "A large cell with many mauve or dark red granules in a pale blue or pink cytoplasm; its nucleus is oval to "
        "kidney-shaped and has no lobes yet.",
        _MANUAL + "p. 313; Theml, Diem and Haferlach, Color Atlas of Hematology, 2nd ed., 2004, p. 36",
    ),
    "lymphocyte": ClassNote(
        "In small forms a dense, dark purple nucleus fills most of the cell and leaves a thin blue rim; large forms "
        "have abundant pale blue cytoplasm.",
        _MANUAL + "p. 311 and 312",
    ),
    "monocyte": ClassNote(
        "The largest of the white cells: an irregular outline, a nucleus often shaped like a kidney with pale, "
        "stranded chromatin, and a pale blue cytoplasm with dust-like granules and usually vacuoles.",
        _MANUAL + "p. 312",
    ),
    "neutrophil": ClassNote(
        "A dark nucleus of two to five lobes joined by strands, in young ones an unlobed band, in a pinkish cytoplasm "
        "with very small mauve granules.",
        _MANUAL + "p. 311 and 313",
    ),
    "platelet": ClassNote(
        "A fragment without a nucleus, 1.5 to 3 micrometres across and so much smaller than a red cell, pale blue with "
        "fine purple granules.",
        "T. Scordino, 2016, imagebank.hematology.org/image/60932",
    ),
}
