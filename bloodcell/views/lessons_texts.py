"""The five lessons. Numbers are placeholders (`lessons.FACTS`); links are checked by a test."""

from bloodcell.views.lessons import Lesson, Step


def _training(model: str, **changes: str) -> dict[str, str]:
    """Return the whole state of the Train page's form, so that nothing of an earlier step stays in it."""
    lesson = {"epochs": "4", "rate": "0.001", "share": "0.1", "batch": "32", "optimizer": "adam", "seed": "0"}
    settings = {**lesson, "augmentation": "none", **changes}
    return {"train_model": model} | {f"train_{key}": value for key, value in settings.items()}


OVERFITTING = Lesson(
    "overfitting",
    "Overfitting",
    "Overfitting, and what dropout does about it",
    "You can see in two curves that a network learns by heart, and say what dropout changes and what it costs.",
    (
        Step(
            "Learning by heart",
            "Look at the two accuracy curves: *train* is measured on images that the network learns from, *val* on "
            "images that it never learns from. When do they part? Does *val* loss still fall after that?",
            "reports.py",
            "The learning curves of cnn_4",
            "At its last epoch `cnn_4` is right about {train:cnn_4} of the images it trains on and {val:cnn_4} of the "
            "others: a gap of {gap:cnn_4}. Where train goes on rising and val does not, the network learns the images, "
            "not the cells. The dashed line marks the epoch that was kept, the best on val.",
            {"reports_model": "cnn_4"},
            models=("cnn_4",),
        ),
        Step(
            "Where it could learn by heart",
            "Which block holds most of the parameters? Switch dropout off and on: does the drawing change? Do the "
            "parameters or the FLOPs?",
            "build.py",
            "A CNN with dropout, taken apart",
            "The dense layer of the head holds most of the {parameters:net4_bn_dropout40} parameters, so it can store "
            "most. Dropout stands right behind it: in training it silences a random share of its units at every step, "
            "so no unit can rely on a certain other one. It has no parameters, and at inference it does nothing.",
            {"build_network": "net4_bn_dropout40"},
        ),
        Step(
            "The same curves with dropout",
            "A network of the same kind with dropout in its head. Look at the same curves: which lies above now? How "
            "can a network be worse on what it learned?",
            "reports.py",
            "The learning curves of cnn_dropout40",
            "At its last epoch train stands at {train:cnn_dropout40}, val at {val:cnn_dropout40}. In training the "
            "accuracy is counted while units are silenced, on val with all of them: the two curves do not measure the "
            "same network. Val of `cnn_4` stands at {val:cnn_4}: a closed gap is no gain by itself.",
            {"reports_model": "cnn_dropout40"},
            models=("cnn_4", "cnn_dropout40"),
        ),
        Step(
            "Watch one overfit",
            "Press *Start*: a small network without dropout trains on a fiftieth of the images, many times over. Watch "
            "the dotted line leave the solid one. What does *val* do after that?",
            "train.py",
            "A training on very few images",
            "So few images can be learned by heart within a few epochs: train reaches the top and val stays behind. "
            "Start it again with a larger share of the images, both on one chart: the gap closes. Nothing protects "
            "better than more, and more varied, images.",
            _training("net3_bn", share="0.02", epochs="20"),
            needs_dataset=True,
        ),
        Step(
            "What it brought",
            "Compare the network with the same one without dropout. Is the difference more than chance? Which class "
            "gained, which images?",
            "build.py",
            "With dropout against without",
            "Without dropout it reaches {accuracy:cnn_bn} on test, with dropout {accuracy:cnn_bn_dropout40}, one "
            "training each. Several seeds of both, where they are trained, say how much of that is luck: the page "
            "calls a difference more than chance only if interval and test say so and every seed of the one beats "
            "every seed of the other.",
            {"build_network": "net4_bn_dropout40", "build_against": "net4_bn"},
            models=("cnn_bn", "cnn_bn_dropout40"),
        ),
        Step(
            "Look at what changed",
            "The middle matrix is the difference. Where did dropout help, where did it hurt? Click a cell to see the "
            "images themselves.",
            "confusion.py",
            "Both confusion matrices side by side",
            "Violet and + mark what the left network has more of. Few images decide: a difference of a handful in a "
            "cell is nothing to build on.",
            {"confusion_model": "cnn_bn_dropout40", "confusion_second": "cnn_bn"},
            models=("cnn_bn", "cnn_bn_dropout40"),
        ),
    ),
    "Overfitting shows as a gap between train and val, and in val loss that rises again. Dropout is one remedy, more "
    "or different images and stopping early are others; each has to show on val that it helps. Test is read once.",
)

BATCH_NORM = Lesson(
    "batch-norm",
    "Batch norm",
    "Why batch normalization?",
    "You can say where batch normalization stands, what it costs, and why a network learns faster with it.",
    (
        Step(
            "What it adds",
            "Switch batch normalization off and on. Where does it appear? How many parameters and FLOPs does it add?",
            "build.py",
            "A plain CNN with batch normalization",
            "After every convolution and the dense layer: each channel is brought to mean zero and variance one over "
            "the batch, then scaled and shifted by two learned numbers. It adds {extra:net4_bn,net4} parameters: half "
            "of them are learned, the other half are the averages that are used at inference.",
            {"build_network": "net4_bn"},
        ),
        Step(
            "The first epochs",
            "Look at val accuracy after the very first epoch, then after five.",
            "reports.py",
            "The learning curves of cnn_4, without",
            "After one epoch `cnn_4` stands at {first:cnn_4} on val; at the end at {val:cnn_4}.",
            {"reports_model": "cnn_4"},
            models=("cnn_4",),
        ),
        Step(
            "The same with it",
            "And now? Does val stumble early although train rises smoothly? What could be wrong with the network on "
            "val alone?",
            "reports.py",
            "The learning curves of cnn_bn, with",
            "After one epoch `cnn_bn` stands at {first:cnn_bn}, at the end at {val:cnn_bn}. In training each batch is "
            "normalized by its own mean; on val by a moving average, which lags behind while the weights move fast. An "
            "early low val accuracy is the average that is late, not a network that is broken.",
            {"reports_model": "cnn_bn"},
            models=("cnn_bn",),
        ),
        Step(
            "Nothing but batch normalization",
            "`cnn_4` and `cnn_bn` differ in more than one thing: their padding and the width of the dense layer too. "
            "This link changes one switch alone. If nobody trained that network here, the page says how.",
            "build.py",
            "One switch: without, against the base",
            "A fair comparison changes one thing. Look at *One switch from here*: what does leaving out batch "
            "normalization cost, beside the other switches?",
            {"build_network": "net4_dropout40", "build_against": "net4_bn_dropout40"},
        ),
        Step(
            "Race them",
            "Press *Start* for the network without batch normalization, then come back for the one with it, and put "
            "both runs on the chart. Which one learns more in the same number of steps?",
            "train.py",
            "Without it, ready to start",
            "The same images, rate and number of steps: the one with batch normalization usually rises sooner. Raise "
            "the learning rate for both and race them again: which of the two still learns?",
            _training("net3"),
            needs_dataset=True,
            second=("With it, all else the same", _training("net3_bn")),
        ),
        Step(
            "What the study found",
            "Read *Largest differences*: which pairs of cells did batch normalization tell apart better?",
            "confusion.py",
            "cnn_bn beside cnn_4",
            "`cnn_4` is wrong about {errors:cnn_4} test images, `cnn_bn` about {errors:cnn_bn}. Most often `cnn_4` "
            "takes {pair:cnn_4}.",
            {"confusion_model": "cnn_bn", "confusion_second": "cnn_4", "confusion_values": "count"},
            models=("cnn_4", "cnn_bn"),
        ),
    ),
    "Batch normalization keeps the size of the signals in bounds, so a higher learning rate works and depth hurts "
    "less. It is cheap in parameters; its price is that training and inference are two different networks.",
)

ATTENTION = Lesson(
    "attention",
    "Attention",
    "What does attention look at?",
    "You know the difference between an attention block, which is part of a network, and an attention map, which "
    "explains one; and you can judge both by evidence.",
    (
        Step(
            "A block that weighs channels",
            "Switch attention between off, SE and CBAM. Where does it stand? What does it cost?",
            "build.py",
            "A CNN with SE attention",
            "SE looks at the mean of every channel, and two tiny layers decide how much of each channel passes on: "
            "{extra:net4_bn_dropout40_se,net4_bn_dropout40} parameters for the whole network. CBAM adds a gate for "
            "places, {extra:net4_bn_dropout40_cbam,net4_bn_dropout40} in all.",
            {"build_network": "net4_bn_dropout40_se"},
        ),
        Step(
            "Did it help?",
            "The study found that attention helps its CNN. Does one switch alone show that here? Look at the spread "
            "over seeds before you believe a difference.",
            "build.py",
            "SE against the same network without",
            "A difference that is smaller than the spread between seeds is not evidence. If the network with attention "
            "is not trained here yet, that is the honest answer too: nobody knows.",
            {"build_network": "net4_bn_dropout40_se", "build_against": "net4_bn_dropout40"},
        ),
        Step(
            "The study's network with SE",
            "Show only layers with parameters. What share of the parameters and of the FLOPs is in the attention?",
            "reports.py",
            "The layers of cnn_se",
            "`cnn_se` reaches {accuracy:cnn_se} on test with {size:cnn_se}. It has one block fewer and a narrower "
            "dense layer than `cnn_bn_dropout40` ({accuracy:cnn_bn_dropout40}, {size:cnn_bn_dropout40}): what it saves "
            "comes mostly from there, not from attention.",
            {"reports_model": "cnn_se", "reports_with_parameters": "on"},
            models=("cnn_se",),
        ),
        Step(
            "Inside the block",
            "The page is open at the step where the block weighs its channels. Which channels does it keep, which does "
            "it turn down? Choose another cell: do the weights change?",
            "inside.py",
            "What SE does to one cell",
            "The weights depend on the cell: that is what sets attention apart from a fixed scale, which batch "
            "normalization has already. Where they hardly change from cell to cell, the block does little.",
            {"inside_model": "cnn_se", "inside_layer": "block3_se_excite"},
            minutes=1,
            models=("cnn_se",),
            needs_dataset=True,
        ),
        Step(
            "A map that explains",
            "Below the answers, see where each model looked. Is it the nucleus, the cytoplasm, or the red cells "
            "around? Do the models look at the same place? Then choose *What if it were covered*: is it the "
            "same place again?",
            "classroom.py",
            "One test cell, and where the models look",
            "A map is computed for any network, with or without attention blocks: it shows which places speak for the "
            "answer. Covering a place asks the network itself whether the place mattered. Where both agree, and on the "
            "cell, that is a good sign and no proof; a map on the background is a warning.",
            {
                "classroom_cell": "test-0",
                "classroom_change": "",
                "models": ("cnn_se", "cnn_bn_dropout40", "hemanet_tiny"),
            },
            minutes=3,
            models=("cnn_se", "cnn_bn_dropout40"),
            needs_dataset=True,
        ),
        Step(
            "Which errors remain",
            "Where is the network with attention better, where worse?",
            "confusion.py",
            "cnn_se beside cnn_bn_dropout40",
            "Most often `cnn_se` takes {pair:cnn_se}; `cnn_bn_dropout40` takes {pair:cnn_bn_dropout40}. Does "
            "attention change which mistakes are made, or only how many?",
            {"confusion_model": "cnn_se", "confusion_second": "cnn_bn_dropout40"},
            minutes=1,
            models=("cnn_se", "cnn_bn_dropout40"),
        ),
        Step(
            "Is the difference a difference?",
            "Read the question on attention. Which pairs of networks carry *no claim*, though one accuracy is higher?",
            "findings.py",
            "What the evidence allows to say",
            "Both networks answered the same images, so only the images on which they differ count. An interval that "
            "reaches across zero is no finding, whatever the table of accuracies says.",
            minutes=1,
        ),
    ),
    "An attention block is a few parameters that may help; only a controlled comparison says whether it does. An "
    "attention map is a hint at what a network uses, not a reason to trust its answer.",
)

NOT_EVERYTHING = Lesson(
    "accuracy",
    "Accuracy",
    "Accuracy is not everything",
    "You can name four questions that one accuracy does not answer, and where to look each of them up.",
    (
        Step(
            "What does it cost?",
            "Find a network that is hardly worse than the best and many times smaller. Which networks does no other "
            "beat in both?",
            "compare.py",
            "Accuracy against size and time",
            "The dashed line joins the networks that no other beats in accuracy and cost together. `vgg16_dropout` "
            "takes {size:vgg16_dropout} for {accuracy:vgg16_dropout}, `hemanet_nano` {size:hemanet_nano} for "
            "{accuracy:hemanet_nano}.",
            models=("hemanet_nano", "vgg16_dropout"),
        ),
        Step(
            "For which cells?",
            "Read the report class by class. Which class is the weakest? Would you notice from the accuracy?",
            "reports.py",
            "The report of cnn_bn_dropout40",
            "Its weakest class is {weakest:cnn_bn_dropout40}. A class with few images hardly moves the accuracy: look "
            "at *mean over classes* beside *weighted by images*.",
            {"reports_model": "cnn_bn_dropout40"},
            models=("cnn_bn_dropout40",),
        ),
        Step(
            "Which mistake?",
            "With errors only, which mistake is the most frequent? Which one would harm a patient most, were this a "
            "medical device?",
            "confusion.py",
            "The errors of cnn_bn_dropout40",
            "Most often it takes {pair:cnn_bn_dropout40}. Two networks of one accuracy can make very different "
            "mistakes, and not every mistake weighs the same.",
            {
                "confusion_model": "cnn_bn_dropout40",
                "confusion_second": "none",
                "confusion_errors_only": "on",
                "confusion_values": "count",
            },
            minutes=1,
            models=("cnn_bn_dropout40",),
        ),
        Step(
            "Where do the mistakes lie?",
            "Each mark is a test cell, placed as the network arranges them. Draw a region around a crowd of mistakes: "
            "which two types meet there? Would you have told them apart?",
            "map.py",
            "The map of hemanet_tiny, mistakes marked",
            "Most mistakes lie where two types touch, and few far inside another type's crowd: those few are the ones "
            "to look at first, for some may be labelled wrongly.",
            {"map_model": "hemanet_tiny", "map_colour": "error"},
            minutes=1,
            models=("hemanet_tiny",),
        ),
        Step(
            "Is it honest about doubt?",
            "Scroll to *Are its probabilities honest?* Of the answers given with great confidence, how many are right?",
            "reports.py",
            "The calibration of cnn_4",
            "The mean distance between confidence and accuracy is {ece:cnn_4} for `cnn_4` and {ece:hemanet_tiny} for "
            "`hemanet_tiny`. A network that knows when it is unsure can hand those cells to a person.",
            {"reports_model": "cnn_4"},
            models=("cnn_4",),
        ),
        Step(
            "Spoil one cell yourself",
            "This cell is out of focus and its stain is strong. Turn both back to where they were, one after the "
            "other: when does which model change its mind? Does its probability warn you?",
            "classroom.py",
            "A blurred, darker cell before several models",
            "A network can be wrong with great confidence on an image unlike those of its training. Its "
            "probability was made honest on val images alone, and says nothing about this one.",
            {
                "classroom_cell": "test-0",
                "classroom_change": "violet:1.4,blur:2",
                "models": ("cnn_4", "cnn_bn_dropout40", "hemanet_tiny"),
            },
            models=("cnn_4", "cnn_bn_dropout40"),
            needs_dataset=True,
        ),
        Step(
            "And on many bad images?",
            "Look at what spoils the answers most: blur, light, another stain? Compare *wrong among answered* with "
            "*named rightly*.",
            "trust.py",
            "Spoiled images",
            "The accuracy was measured on images of one laboratory's analyser. Another microscope, focus or stain is "
            "another question, and the accuracy does not answer it.",
            {"trust_measure": "accuracy"},
        ),
    ),
    "Ask of any accuracy: at what cost, for which cells, with which mistakes, how honest about doubt, and on which "
    "images. A difference that is smaller than its interval is not shown by these images.",
)

SILENCE = Lesson(
    "silence",
    "Silence",
    "When should a network stay silent?",
    "You can explain why a network needs a way to refuse, how it decides, and what refusing costs.",
    (
        Step(
            "Answer less, be right more",
            "Scroll to *What if it may say “I do not know”?* How many answers must it give up until hardly any is "
            "wrong?",
            "reports.py",
            "Risk and coverage of hemanet_small",
            "It is wrong about {errors:hemanet_small} test images when it answers all. Refusing the least confident "
            "ones first takes the errors away fastest, if its confidence can be believed.",
            {"reports_model": "hemanet_small"},
            models=("hemanet_small",),
        ),
        Step(
            "Confidence is not enough",
            "Drop any picture on the page: a photograph, a drawing, a page of text. What does it say, and why?",
            "classify.py",
            "Give it something that is no cell",
            "A softmax always adds up to one: it names one of eight types for anything. So a guard looks at the image "
            "first, and refuses what is unlike the cells of the training, whatever the network's confidence.",
            {"models": ("hemanet_small",)},
            models=("hemanet_small",),
        ),
        Step(
            "How often it is silent, and right",
            "Read the four figures on top and the rule in words. Which of the three guards refuses most test cells?",
            "trust.py",
            "The figures of trust",
            "It answers {trust:answered} of the test cells and is right about {trust:right} of those; it refuses "
            "{trust:foreign} of cells of a foreign stain and {trust:noncells} of pictures without a cell.",
            {"trust_examples": "unfamiliar"},
        ),
        Step(
            "When would you stay silent?",
            "Name a few of the hardest cells yourself, before the networks do. On how many would you have preferred to "
            "say nothing?",
            "quiz.py",
            "A round of hard cells",
            "On each of these at least one model is wrong, and people are too: a cell between two stages has no "
            "right answer in one image. A tool that says so is not weak.",
            {"quiz_cells": "missed", "quiz_questions": "10"},
            needs_dataset=True,
        ),
        Step(
            "Several types instead of none",
            "Change the coverage. What happens to the number of types that remain possible, and to the share answered?",
            "trust.py",
            "Sets of possible types",
            "Both ends refuse more. Towards a full promise the sets grow, so that fewer cells get a single answer; far "
            "below it no type is probable enough for some cells, and the two that come closest are named. The promise "
            "holds over all types together and for cells of the same kind; a single type can lie below.",
            {"trust_coverage": "0.998", "trust_examples": "uncertain"},
        ),
        Step(
            "What it has never seen",
            "Find the part on types that were left out of the training. How often is such a cell refused? What would "
            "that mean for a leukaemic cell?",
            "trust.py",
            "Types that it never learned",
            "A cell of an unknown type often looks like one of the eight. No figure here says how often a blast would "
            "be refused: the networks have never seen one, and nothing on these pages finds disease.",
            {"trust_examples": "ok"},
        ),
    ),
    "A tool that can refuse is worth more than one that always answers; but a refusal has to be measured like an "
    "answer: how often, on what, and what slips through.",
)

LESSONS: tuple[Lesson, ...] = (OVERFITTING, BATCH_NORM, ATTENTION, NOT_EVERYTHING, SILENCE)
