"""What is exported gives its logits first and no feature map, and the same numbers as before."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from bloodcell.inference import Engine
from bloodcell.inference.convert import answering_model, convert_model, draw_trial_inputs
from bloodcell.inference.export_form import drop_feature_map
from bloodcell.models import build_model


def make_form(name: str, precision: str) -> bytes:
    return convert_model(answering_model(build_model(name)), precision, draw_trial_inputs())


@pytest.mark.parametrize(
    ("name", "precision", "widths"),
    [
        ("hemanet_nano", "float32", [8]),
        ("hemanet_nano", "float16", [8]),
        ("hemanet_nano.eleven", "float16", [8, 5]),
    ],
)
def test_outputs_are_the_logits_and_those_of_subtypes(tmp_path, name, precision, widths):
    before = make_form(name, precision)
    after = drop_feature_map(before)
    assert len(after) == len(before), "all but the lists of outputs stays where it is"
    assert sum(one != other for one, other in zip(before, after, strict=True)) <= 24
    paths = [tmp_path / "before", tmp_path / "after"]
    for path, form in zip(paths, (before, after), strict=True):
        path.write_bytes(form)
    whole, exported = (Engine(path) for path in paths)
    assert whole.gives_features and not exported.gives_features
    inputs = draw_trial_inputs()
    found, expected = exported.compute_outputs(inputs), whole.compute_outputs(inputs)
    np.testing.assert_array_equal(found.logits, expected.logits)
    if found.subtype_logits is not None:
        np.testing.assert_array_equal(found.subtype_logits, expected.subtype_logits)
    interpreter = Interpreter(str(paths[1]))
    interpreter.allocate_tensors()
    assert [details["shape_signature"].tolist() for details in interpreter.get_output_details()] == [
        [-1, width] for width in widths
    ]
    answers = interpreter.get_signature_runner()(image=inputs[:1])
    assert [answers[name].shape for name in sorted(answers)] == [(1, width) for width in widths]


def test_a_form_without_a_map_stays_as_it_is():
    form = make_form("cnn_3", "float32")
    assert drop_feature_map(form) == form
