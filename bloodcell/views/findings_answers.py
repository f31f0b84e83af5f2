"""The questions of the Findings page and how each is answered from what is trained. Numbers in, sentences out.

No sentence here holds a result: each is put together from `Evidence`, and says "no difference that one seed can show"
where the evidence carries no more. What is missing for a question is named with the command that brings it.
"""

import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from bloodcell.evaluation.comparison import DEFAULT_MARGIN
from bloodcell.evaluation.evidence import Evidence, correct_together
from bloodcell.models.catalog import CATALOG, differences, get_spec
from bloodcell.training.experiments import LADDER_NETWORKS
from bloodcell.training.recipes import RECIPES
from bloodcell.views.findings import (
    BASE,
    Finding,
    Network,
    best_on_val,
    compare,
    compare_two,
    describe_difference,
    describe_machines,
    describe_no_difference,
    describe_shortened,
    join_words,
    list_settings,
    missing_rows,
    missing_trials,
    name_option,
    other_differences,
)
from bloodcell.views.quantities import megabytes, percent

LIGHT_FAMILIES = ("cnn", "hemanet")
DEEP_FAMILIES = ("resnet", "inception", "vgg")
SIZE_BUDGETS_MB = (0.6, 1.0, 3.0, 20.0, math.inf)
"""Limits below which the best network is looked for, to see what more weight buys."""
ATTENTION_PAIRS = (("vgg16_se", "vgg16"), ("vgg16_cbam", "vgg16"), ("cnn_se", "cnn_bn"))
"""Networks of the study with attention, and the nearest one without."""
DEPTH_PAIRS = (("cnn_3", "cnn_2"), ("cnn_4", "cnn_3"), ("vgg16", "vgg16_reduced"))
"""Networks of the study, the deeper one first, and the nearest shallower one."""
ARM_NAMES = {
    "none": "no augmentation",
    "study_balanced": "the study's augmentation",
    "symmetries_shift": "flips and shifts",
}
MARGIN_OF_COMPETING = 0.01
"""A network competes if it is at worst a point behind, at the end of the 95 % interval."""
_ATTENTION_OPTIONS = {"attention", "attention_blocks", "attention_ratio", "attention_l2"}
_DEPTH_OPTIONS = {"filters", "convs"}
_SIZE_OPTIONS = {*_DEPTH_OPTIONS, "dense_units", "blocks", "modules"}


def answer_lightweight(
    networks: Mapping[str, Network], elsewhere: Collection[str] = (), num_seeds_missing: int = 0
) -> Finding:
    """Can a lightweight network compete? The best of them against the best deep one, each chosen on val.

    Args:
        networks: Trained rows of the catalog.
        num_seeds_missing: Trainings that the experiment on seeds lacks.
        elsewhere: Rows trained on another file of the dataset.
    """
    key, question = "lightweight", "Can a lightweight network compete?"
    rows = [one for one in networks.values() if one.name in CATALOG]
    light = [one for one in rows if one.family in LIGHT_FAMILIES]
    deep = best_on_val(one for one in rows if one.family in DEEP_FAMILIES)
    wanted = [name for name, spec in CATALOG.items() if spec.family in (*LIGHT_FAMILIES, *DEEP_FAMILIES)]
    missing = missing_rows(networks, wanted, elsewhere) + missing_trials("seeds", num_seeds_missing)
    best = lightest_good(light)
    if deep is None or best is None:
        lacking = "deep network (ResNet, Inception, VGG)" if deep is None else "lightweight network (CNN, HemaNet)"
        text = f"Not answered yet: no {lacking} is trained here."
        return Finding(key, question, text, text, missing=missing, is_answered=False)
    ordered = sorted(light, key=lambda one: one.weights_mb)
    evidence = compare(networks, [(one.name, deep.name) for one in ordered])
    by_name = {one.a: one for one in evidence}
    sentences = [_light_sentence(best, deep, by_name[best.name])]
    of_study = lightest_good([one for one in light if one.origin == "study"])
    if of_study is not None and of_study is not best:
        sentences.append(f"Of the study's own networks: {_light_sentence(of_study, deep, by_name[of_study.name])}")
    near = [one for one in ordered if by_name[one.name].interval[0] >= -MARGIN_OF_COMPETING]
    listed = "; ".join(
        f"{one.name} ({megabytes(one.weights_mb)}) {describe_difference(by_name[one.name])}" for one in near
    )
    sentences.append(
        f"Of the {len(light)} lightweight networks trained here, {len(near) or 'none'} "
        f"{'is' if len(near) < 2 else 'are'} at worst {100 * MARGIN_OF_COMPETING:g} point behind at the end of the "
        f"interval{': ' if near else ''}{listed}."
    )
    caveat = _paragraph(
        "“Lightweight” are the CNN and HemaNet families, “deep” the ResNet, Inception and VGG families. Both sides "
        "were chosen on validation, the deep one as the best, the light one as the lightest within "
        f"{100 * DEFAULT_MARGIN:g} points of the best light one, and compared on test. Our own family is trained "
        "longer, with augmentation and another optimizer: its rows show what a lightweight network can reach, not what "
        "its graph alone brings.",
        describe_shortened(rows),
        describe_machines(rows),
    )
    return Finding(key, question, sentences[0], " ".join(sentences), tuple(evidence), caveat, missing)


def lightest_good(networks: Sequence[Network]) -> Network | None:
    """Return the lightest network whose val accuracy is within 0.2 points of the best of them."""
    highest = max((one.val.accuracy for one in networks), default=0.0)
    near = [one for one in networks if one.val.accuracy >= highest - DEFAULT_MARGIN - 1e-9]
    return min(near, key=lambda one: one.weights_mb, default=None)


def _light_sentence(light: Network, deep: Network, one: Evidence) -> str:
    ratio = deep.weights_mb / light.weights_mb
    sizes, against = _introduce(light, one.accuracy_a), _introduce(deep, one.accuracy_b)
    weights = f"with {ratio:,.0f} times fewer weights" if ratio >= 1.95 else "with weights of about that size"
    settings = [label for label, *_ in list_settings(light, deep)]
    if settings:
        also = ", augmentation among them" if "augmentation" in settings else ""
        weights += f", trained by another recipe ({len(settings)} settings{also})"
    if one.verdict == "better":
        return f"**Yes.** {sizes} beats {against} {weights}: {describe_difference(one)}."
    if one.verdict == "worse":
        return f"**Not quite.** {sizes} stays below {against} {weights}: {describe_difference(one)}."
    worst = f"at worst {abs(100 * one.interval[0]):.1f} points behind" if one.interval[0] < 0 else "not behind"
    lead = "**Yes, as far as one seed can show.**" if one.num_seeds == 1 else "**Yes.**"
    if one.interval[0] < -MARGIN_OF_COMPETING:
        lead = "**Undecided.**"
    return (
        f"{lead} Between {sizes} and {against} there is {describe_no_difference(one)} "
        f"({describe_difference(one)}; {worst}), {weights}."
    )


def _introduce(network: Network, accuracy: float) -> str:
    """Return a network's name with its size, its accuracy and, where it was trained for less than planned, how long."""
    parts = (megabytes(network.weights_mb), percent(accuracy), network.shortened)
    return f"{network.name} ({', '.join(part for part in parts if part)})"


def answer_attention(
    networks: Mapping[str, Network],
    ladder: Mapping[str, Network],
    num_missing: int,
    elsewhere: Collection[str] = (),
    num_seeds_missing: int = 0,
) -> Finding:
    """Does attention help? Pairs of networks with and without it; only those that differ in nothing else decide.

    Args:
        networks: Trained rows of the catalog.
        ladder: Trained networks of the ladder, by label.
        num_missing: Trainings that the ladder lacks.
        elsewhere: Rows trained on another file of the dataset.
        num_seeds_missing: Trainings that the experiment on seeds lacks.
    """
    key, question = "attention", "Does attention help?"
    pairs = list(ATTENTION_PAIRS) + [(step, BASE) for step in ("SE attention", "CBAM attention")]
    everything = {**networks, **ladder}
    evidence = compare(everything, pairs)
    others = {(one.a, one.b): other_differences(one, _ATTENTION_OPTIONS, everything) for one in evidence}
    clean = [one for one in evidence if not others[one.a, one.b]]
    wanted = [name for pair in ATTENTION_PAIRS for name in pair]
    missing = missing_rows(networks, wanted, elsewhere) + missing_trials("ladder", num_missing)
    missing += missing_trials("seeds", num_seeds_missing)
    unclean = [
        f"{one.a} against {one.b} ({describe_difference(one)}) also differs in {'; '.join(others[one.a, one.b])}."
        for one in evidence
        if others[one.a, one.b]
    ]
    compared = [networks[name] for name in dict.fromkeys(wanted) if name in networks]
    caveat = _paragraph(
        *unclean,
        "Where, how wide and with which ratio attention stands is the study's choice; others differ.",
        describe_shortened(compared),
        describe_machines([*compared, *ladder.values()]),
    )
    if not clean:
        text = "Not answered yet: no pair that differs in attention alone is trained here."
        return Finding(key, question, text, text, tuple(evidence), caveat, missing, is_answered=False)
    lead, counted = _count_verdicts(clean, "helps", "hurts", "comparison")
    counted += _say_shortened(clean, everything)
    answer = f"{lead} {counted} {_list_differences(clean)}"
    return Finding(key, question, f"{lead} {counted}", answer, tuple(evidence), caveat, missing)


def _say_shortened(evidence: Sequence[Evidence], networks: Mapping[str, Network]) -> str:
    """Return a sentence, after a space, where networks compared were trained for less than planned; else nothing."""
    short = dict.fromkeys(networks[name].shortened for one in evidence for name in (one.a, one.b))
    written = join_words([text for text in short if text])
    return f" Some were trained for only {written}: longer trainings may tell otherwise." if written else ""


def _count_verdicts(evidence: Sequence[Evidence], helps: str, hurts: str, noun: str) -> tuple[str, str]:
    """Return a lead ("It helps.") and a sentence that counts the verdicts."""
    num = len(evidence)
    better = sum(one.verdict == "better" for one in evidence)
    worse = sum(one.verdict == "worse" for one in evidence)
    none = num - better - worse
    if none == num:
        return f"**{_seeds_in_words(evidence).capitalize()}.**", (
            f"None of {num} clean {noun}s shows one." if num > 1 else f"There is one clean {noun}."
        )
    lead = "It depends." if better and worse else f"It {helps}." if better else f"It {hurts}."
    if none and not (better and worse):
        lead = f"It {helps if better else hurts} in some networks."
    parts = [f"{helps} in {better}"] * bool(better) + [f"{hurts} in {worse}"] * bool(worse)
    parts += [f"makes no difference that its seeds can show in {none}"] * bool(none)
    return f"**{lead}**", f"Of {num} clean {noun}{'s' * (num > 1)} it {join_words(parts)}."


def _list_differences(evidence: Sequence[Evidence]) -> str:
    return join_words([f"{one.a} against {one.b} {describe_difference(one)}" for one in evidence], "; ") + "."


def _paragraph(*sentences: str) -> str:
    """Return sentences in a row; those that have nothing to say are empty."""
    return " ".join(sentence for sentence in sentences if sentence)


def find_steps(networks: Iterable[Network]) -> list[Network]:
    """Return the best network on val within each budget of weights, lightest first; only where it betters the last."""
    rows = list(networks)
    steps: list[Network] = []
    for budget in SIZE_BUDGETS_MB:
        best = best_on_val(one for one in rows if one.weights_mb <= budget)
        if best is not None and (not steps or best.val.accuracy > steps[-1].val.accuracy):
            steps.append(best)
    return steps


def answer_depth(
    networks: Mapping[str, Network],
    ladder: Mapping[str, Network],
    num_missing: int,
    elsewhere: Collection[str] = (),
    num_seeds_missing: int = 0,
) -> Finding:
    """What do depth and weight buy? From budget to budget of the study's networks, and pairs that differ in depth.

    Args:
        networks: Trained rows of the catalog.
        ladder: Trained networks of the ladder, by label.
        num_missing: Trainings that the ladder lacks.
        elsewhere: Rows trained on another file of the dataset.
        num_seeds_missing: Trainings that the experiment on seeds lacks.
    """
    key, question = "depth", "What do depth and weight buy?"
    study = [one for one in networks.values() if one.name in CATALOG and one.origin == "study"]
    missing = missing_rows(networks, [name for name, spec in CATALOG.items() if spec.origin == "study"], elsewhere)
    missing += missing_trials("ladder", num_missing) + missing_trials("seeds", num_seeds_missing)
    steps = find_steps(study)
    pairs = [(heavier.name, lighter.name) for lighter, heavier in itertools.pairwise(steps)]
    heavier = [one for one in study if steps and one.weights_mb > steps[-1].weights_mb]
    beyond = best_on_val(heavier)
    in_vain = [(beyond.name, steps[-1].name)] if beyond else []
    depth_pairs = [*DEPTH_PAIRS, (BASE, "two blocks"), (BASE, "three blocks")]
    everything = {**networks, **ladder}
    evidence = compare(everything, dict.fromkeys((*pairs, *in_vain, *depth_pairs)))
    if len(steps) < 2:
        text = "Not answered yet: fewer than two of the study's networks of different size are trained here."
        return Finding(key, question, text, text, tuple(evidence), "", missing, is_answered=False)
    by_pair = {(one.a, one.b): one for one in evidence}
    sentences = [_bought(networks[a], networks[b], by_pair[a, b]) for a, b in pairs]
    short = [sentences[-1]]
    if beyond:
        sentences.append(_in_vain(len(heavier), beyond, steps[-1], by_pair[in_vain[0]]))
        short.append(sentences[-1])
    if len(study) >= 5:
        sentences.append(_rank_sentence(study))
    deeper = [one for one in evidence if (one.a, one.b) in depth_pairs]
    others = {(one.a, one.b): other_differences(one, _DEPTH_OPTIONS, everything) for one in deeper}
    for lead, is_clean in (("Depth alone", True), ("Depth and more", False)):
        some = [one for one in deeper if (not others[one.a, one.b]) == is_clean]
        if some:
            listed = [
                f"{one.a} against {one.b}, {_times_the_weights(everything[one.a], everything[one.b])}, "
                f"{describe_difference(one)}"
                for one in some
            ]
            sentences.append(f"{lead}: {join_words(listed, '; ')}.")
    unclean = [
        f"{one.a} and {one.b} also differ in {'; '.join(others[one.a, one.b])}."
        for one in deeper
        if others[one.a, one.b]
    ]
    caveat = _paragraph(
        "The networks of two sizes differ in more than size. The ladder below changes depth, and with it how many "
        "features reach the dense layer, which holds most of the weights: the deeper of two can be the lighter.",
        *unclean,
        describe_shortened(study),
        describe_machines([*study, *ladder.values()]),
    )
    return Finding(key, question, " ".join(short), " ".join(sentences), tuple(evidence), caveat, missing)


def _times_the_weights(a: Network, b: Network) -> str:
    ratio = a.weights_mb / b.weights_mb
    return f"{ratio:.1f} times the weights" if ratio >= 1 else f"{1 / ratio:.1f} times fewer weights"


def _bought(heavy: Network, light: Network, one: Evidence) -> str:
    road = (
        f"From {_introduce(light, one.accuracy_b)} to {_introduce(heavy, one.accuracy_a)}, {_costs(heavy, light)}: "
        f"{describe_difference(one)}"
    )
    if one.verdict == "undecided":
        road += f", {describe_no_difference(one)}"
    besides = _named_differences(heavy, light)
    return f"{road}; they also differ in {join_words(besides)}." if besides else f"{road}."


def _in_vain(num_heavier: int, best: Network, step: Network, one: Evidence) -> str:
    lead = (
        f"None of the {num_heavier} heavier networks is better on validation; the best of them,"
        if num_heavier > 1
        else "The one heavier network,"
    )
    verb = " is not better on validation: on test" if num_heavier == 1 else " has"
    no_claim = f" ({describe_no_difference(one)})" if one.verdict == "undecided" else ""
    return (
        f"{lead} {_introduce(best, one.accuracy_a)}, with {_costs(best, step)},{verb} {describe_difference(one)} "
        f"against {step.name}{no_claim}."
    )


def _costs(heavy: Network, light: Network) -> str:
    costs = f"{heavy.weights_mb / light.weights_mb:.1f} times the weights"
    if not math.isnan(heavy.latency_ms) and not math.isnan(light.latency_ms):
        costs += f" and {heavy.latency_ms / light.latency_ms:.1f} times the time"
    return costs


def _named_differences(a: Network, b: Network) -> list[str]:
    """Return by name what two networks differ in besides how large and deep they are, and how they were trained."""
    settings = [label for label, *_ in list_settings(a, b)]
    if a.family != b.family:
        return ["the kind of network", *settings]
    options = [found.option for found in differences(a.model, b.model) if found.option not in _SIZE_OPTIONS]
    return [name_option(option) for option in options] + settings


def _rank_sentence(networks: Sequence[Network]) -> str:
    rho = rank_correlation([one.weights_mb for one in networks], [one.test.accuracy for one in networks])
    plain = [one for one in networks if one.family == "cnn" and not get_spec(one.model).all_options["batch_norm"]]
    rest = [one for one in networks if one not in plain]
    without = ""
    if plain and len(rest) >= 5:
        other = rank_correlation([one.weights_mb for one in rest], [one.test.accuracy for one in rest])
        which = f"{len(plain)} plain ones" if len(plain) > 1 else "plain one"
        without = f", {other:.2f} without the {which} of the CNN family, which lack batch normalization"
    return (
        f"Over the {len(networks)} trained networks of the study the rank correlation of size and accuracy is "
        f"{rho:.2f} (Spearman){without}."
    )


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Spearman's rank correlation, ties at their mean rank, as scipy.stats gives it."""
    ranks = pd.DataFrame({"first": first, "second": second}).rank()
    return float(np.corrcoef(ranks["first"], ranks["second"])[0, 1])


def answer_augmentation(arms: Mapping[str, Mapping[str, Network]], num_missing: int) -> Finding:
    """Does augmentation hurt? Each arm of the augmentation study against the same network without.

    Args:
        arms: Network -> arm -> its trainings, as far as they are there.
    """
    key, question = "augmentation", "Does augmentation hurt?"
    missing = missing_trials("augmentation", num_missing)
    evidence = correct_together(
        replace(compare_two(one, of["none"]), a=network_arm_name(network, arm), b=network_arm_name(network, "none"))
        for network, of in arms.items()
        if "none" in of
        for arm, one in of.items()
        if arm != "none"
    )
    caveat = _paragraph(
        f"All arms have the same recipe of {RECIPES['study'].num_epochs} epochs with the augmentation changed and "
        "nothing else; a longer schedule usually suits augmentation better. The study's own also balances the classes, "
        "which shows the network more images an epoch.",
        describe_machines(one for of in arms.values() for one in of.values()),
    )
    if not evidence:
        text = "Not answered yet: no network is trained here both with and without augmentation."
        return Finding(key, question, text, text, (), caveat, missing, is_answered=False)
    sentences = []
    for arm in ("study_balanced", "symmetries_shift"):
        of_arm = [one for one in evidence if one.a.endswith(f"· {ARM_NAMES[arm]}")]
        if of_arm:
            each = join_words([f"{one.a.partition(' · ')[0]} {describe_difference(one)}" for one in of_arm], "; ")
            sentences.append(f"{_arm_lead(ARM_NAMES[arm], of_arm)} {each}.")
    short = " ".join(sentence.split(":** ")[0] + ".**" for sentence in sentences)
    return Finding(key, question, short, " ".join(sentences), tuple(evidence), caveat, missing)


def network_arm_name(network: str, arm: str) -> str:
    """Return what one arm of the augmentation study is called."""
    return f"{network} · {ARM_NAMES[arm]}"


def _arm_lead(arm: str, evidence: Sequence[Evidence]) -> str:
    verdicts = {one.verdict for one in evidence}
    name = arm[0].upper() + arm[1:]
    verb = ("help", "hurt", "make") if arm.endswith("s") else ("helps", "hurts", "makes")
    if verdicts == {"undecided"}:
        return f"**{name} {verb[2]} {_seeds_in_words(evidence)}:**"
    if {"better", "worse"} <= verdicts:
        return f"**{name} {verb[0]} some networks and {verb[1]} others:**"
    word = verb[0] if "better" in verdicts else verb[1]
    return f"**{name} {word}{' in some networks' if 'undecided' in verdicts else ''}:**"


def answer_ladder(ladder: Mapping[str, Network], num_missing: int) -> Finding:
    """The controlled ladder: each step against the base, one thing changed."""
    key, question = "ladder", "What does each idea change, one at a time?"
    missing = missing_trials("ladder", num_missing)
    steps = [step for step in LADDER_NETWORKS if step != BASE]
    evidence = compare(ladder, [(step, BASE) for step in steps])
    caveat = _paragraph(
        "Each step changes one thing of the base and keeps the recipe, so an idea that needs another recipe, such as "
        "a longer training, is shown here at its worst. Two steps together may do more or less than their sum.",
        describe_machines(ladder.values()),
    )
    if not evidence:
        base = LADDER_NETWORKS[BASE]
        text = f"Not answered yet: no step of the ladder is trained here beside its base, {base}."
        return Finding(key, question, text, text, (), caveat, missing, is_answered=False)
    better = [one for one in evidence if one.verdict == "better"]
    worse = [one for one in evidence if one.verdict == "worse"]
    num_none = len(evidence) - len(better) - len(worse)
    counts = ((len(better), "help", ""), (len(worse), "hurt", ""), (num_none, "show", f" {_seeds_in_words(evidence)}"))
    counted = [f"{num} {verb}{'s' * (num == 1)}{rest}" for num, verb, rest in counts if num]
    if len(evidence) == 1:
        short = f"**The one change tried so far {counted[0].removeprefix('1 ')}.**"
    else:
        short = f"**Of {len(evidence)} single changes tried so far {join_words(counted)}.**"
    if len(evidence) == len(steps):
        short = short.replace(" tried so far", "")
    named = [
        f"{label}: {join_words([f'{one.a} {describe_difference(one)}' for one in some], '; ')}."
        for label, some in (("Helps", better), ("Hurts", worse))
        if some
    ]
    return Finding(key, question, short, " ".join([short, *named]), tuple(evidence), caveat, missing)


def _seeds_in_words(evidence: Sequence[Evidence]) -> str:
    fewest = min(evidence, key=lambda one: one.num_seeds)
    most = max(evidence, key=lambda one: one.num_seeds)
    return (
        describe_no_difference(most) if fewest.num_seeds == most.num_seeds else "no difference that its seeds can show"
    )
