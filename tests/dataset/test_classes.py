"""The classes are MedMNIST's, in its order."""

from bloodcell.dataset import CLASS_CODES, CLASS_NAMES, CLASS_NOTES
from bloodcell.dataset.source import dataset_info


def test_the_order_is_medmnists():
    labels = dataset_info()["label"]
    assert len(CLASS_NAMES) == len(labels) == len(CLASS_CODES) == len(set(CLASS_CODES))
    for index, name in enumerate(CLASS_NAMES):
        assert labels[str(index)].startswith(name)


def test_each_class_has_one_sentence_and_its_source():
    assert tuple(CLASS_NOTES) == CLASS_NAMES
    for note in CLASS_NOTES.values():
        assert note.text.endswith(".") and ". " not in note.text.replace("1.5", "")
        assert note.source
