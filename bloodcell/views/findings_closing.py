"""The last two answers of the Findings page: what every good model gets wrong, and what a byte buys."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from bloodcell.dataset import CLASS_NAMES
from bloodcell.dataset.twins import Twin
from bloodcell.evaluation.ceiling import SURE, Ceiling
from bloodcell.evaluation.comparison import DEFAULT_MARGIN
from bloodcell.views.findings import Finding
from bloodcell.views.quantities import megabytes, percent
from bloodcell.views.tables_confusion import count_of


def answer_ceiling(ceiling: Ceiling | None, twins: Sequence[Sequence[Twin]] | None) -> Finding:
    """What does every good model get wrong?

    Args:
        ceiling: What the good models miss; None where nothing is trained.
        twins: Images that stand in the dataset more than once; None where the dataset is not here.
    """
    key, question = "ceiling", "What does every good model get wrong?"
    if ceiling is None:
        text = "Not answered yet: no model is trained here."
        return Finding(key, question, text, text, is_answered=False)
    names, briefly = f"{len(ceiling.names)} good models ({', '.join(ceiling.names)})", f"all {len(ceiling.names)}"
    if len(ceiling.names) == 1:
        names, briefly = f"the one good model, {ceiling.names[0]},", "the one good model"
    missed, total = ceiling.num_missed, ceiling.num_images
    counted = f"{missed:,} of {total:,} test images ({percent(missed / total)})"
    short = f"**{counted} are missed by {briefly}.**"
    sentences = [
        f"**{counted} are missed by {names}**: whoever took the right model for each image would reach "
        f"{percent(ceiling.highest_accuracy)}, so no vote among these passes it."
    ]
    if missed:
        pairs = Counter(zip(ceiling.y_true.tolist(), ceiling.majority.tolist(), strict=True))
        (true, called), count = max(pairs.items(), key=lambda item: (item[1], item[0]))
        sentences.append(f"Most often it is {count_of(count, CLASS_NAMES[true])} called {CLASS_NAMES[called]}.")
        doubtful = int(ceiling.is_doubtful.sum())
        sentences.append(
            f"On {int(ceiling.is_unanimous.sum())} of them all give the same wrong class, on {doubtful} with "
            f"{percent(SURE, 0)} confidence or more on average: there the label is worth a second look."
        )
    if twins is not None:
        sentences.append(_describe_twins(twins))
    caveat = (
        "That models agree against a label does not make the label wrong: networks trained on the same images share "
        "their mistakes. Only pixel-identical twins are found; near copies and cells of the same donor are not."
    )
    if twins is None:
        caveat += " Twins are looked for once the dataset is on this machine."
    return Finding(key, question, short, " ".join(sentences), caveat=caveat)


def _describe_twins(twins: Sequence[Sequence[Twin]]) -> str:
    if not twins:
        return "No image stands in the dataset twice."
    splits = [{twin.split for twin in group} for group in twins]
    across = [places for places in splits if "test" in places and len(places) > 1]
    two_labels = [group for group in twins if len({twin.label for twin in group}) > 1]
    text = (
        f"The dataset holds {len(twins)} images more than once, pixel for pixel; {len(across)} of them stand in test "
        "and in another split"
    )
    if not two_labels:
        return f"{text}, all under one label."
    each = [[f"{twin.split} {twin.place} as {CLASS_NAMES[twin.label]}" for twin in group] for group in two_labels]
    named = "; ".join(" and ".join(places) for places in each)
    return f"{text}, and {len(two_labels)} under two labels, so that one of them is wrong: {named}."


def answer_bytes(table: pd.DataFrame) -> Finding:
    """What does a byte buy? The models trained here beside the published anchors.

    Args:
        table: From `tables_findings.bytes_table`.
    """
    key, question = "bytes", "How much accuracy does a byte buy?"
    ours, anchors = (table[table["group"] == group] for group in ("trained here", "published"))
    caveat = (
        "Chosen on validation: the fewest bytes within "
        f"{100 * DEFAULT_MARGIN:g} points of the best; accuracies are means where there are several seeds. "
        "Published results come from other trainings, other image sizes and in part from weights learned on ImageNet; "
        "the test images are those of the official file. They are reference points, not paired comparisons, and none "
        "of their sources says how many bytes the stored weights take."
    )
    if ours.empty:
        text = "Not answered yet: no model is trained here. The figure shows the published anchors alone."
        return Finding(key, question, text, text, caveat=caveat, is_answered=False)
    best = choose_small(ours)
    sized = anchors[anchors["float32_mb"].notna()]
    beaten = sized[(sized["float32_mb"] > best["float32_mb"]) & (sized["accuracy"] < best["accuracy"])]
    above = sized[sized["accuracy"] >= best["accuracy"]].sort_values("float32_mb")
    short = (
        f"**{best['name']} reaches {percent(best['accuracy'] / 100)} with {megabytes(best['stored_mb'])} as stored** "
        f"({megabytes(best['float32_mb'])} as float32)."
    )
    verb = "is" if len(beaten) == 1 else "are"
    sentences = [
        short,
        f"Of the {len(sized)} published anchors whose size is known, {len(beaten) or 'none'} {verb} both heavier and "
        "less accurate.",
    ]
    if len(above):
        lightest = above.iloc[0]
        sentences.append(
            f"The lightest anchor at or above it is {lightest['name']} ({lightest['accuracy']:.2f} %, "
            f"{megabytes(lightest['float32_mb'])}, images of {int(lightest['image_size'])} pixels, weights from "
            f"{lightest['weights_from']}): {_times_the_bytes(lightest['float32_mb'] / best['float32_mb'])}."
        )
    else:
        sentences.append("None of them is above it.")
    smallest = ours.sort_values("stored_mb").iloc[0]
    if smallest["name"] != best["name"]:
        sentences.append(
            f"The smallest trained here is {smallest['name']}: {percent(smallest['accuracy'] / 100)} with "
            f"{megabytes(smallest['stored_mb'])} as stored."
        )
    return Finding(key, question, short, " ".join(sentences), caveat=caveat)


def choose_small(ours: pd.DataFrame) -> pd.Series:
    """Return the row with the fewest stored bytes within 0.2 points of the best on val."""
    near = ours[ours["val_accuracy"] >= ours["val_accuracy"].max() - 100 * DEFAULT_MARGIN - 1e-9]
    return near.sort_values("stored_mb").iloc[0]


def _times_the_bytes(ratio: float) -> str:
    """Say how many float32 bytes another network has for each of this one's."""
    if ratio >= 1.95:
        return f"{ratio:,.0f} times the float32 bytes"
    if ratio >= 0.95:
        return "about as many float32 bytes"
    return f"{100 * ratio:.0f} % of the float32 bytes"
