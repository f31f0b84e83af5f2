"""The eight classes, in the order of their labels 0 to 7."""

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
