"""model_card.md: the report in brief, in Markdown that a cell cannot break."""

import numpy as np
import pytest
from report_page import BINARY, EVIL, evaluate, make_run, written

from mmtrain.reports import model_card
from mmtrain.splits import Rows, split_methods

OWNER = "> **To be filled in by the owner:**"


def card(run):
    return (run / "model_card.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Two evaluations of four test rows."""
    run = make_run(tmp_path_factory.mktemp("card"), {"ill": BINARY})
    for report in (False, True):
        evaluate(run, "test", {"ill": [0, 0, 1, 1]}, {"ill": [[0.6], [0.7], [0.1], [0.65]]}, report=report)
    return run


def test_model_card_has_the_headings_of_model_cards(scored):
    assert [line for line in card(scored).splitlines() if line.startswith("#")] == [
        "# Model card: clinic/3",
        "## Intended use",
        "## Model",
        "## Data",
        "## Scores on the test part",
        "## Limits",
        "## Versions and hashes",
        "## Ethical considerations",
    ]


def test_model_card_says_in_brief_what_the_report_says(scored):
    text = card(scored)
    assert "The model predicts ill (one of two classes: no or yes) from age (numeric) and note (text).\n" in text
    assert "The training took 3 epochs of at most 9. The weights are those of epoch 2 with validation_loss 0.500." in text
    assert (
        "On the 4 test rows, the AUC of ill is 0.250 (higher is better); the baseline (majority: class shares of the training rows) "
        "has 0.500. **The model does not beat the baseline.**\n" in text
    )
    assert (
        "| Score | Model | Baseline | Model is | Better when |\n| --- | ---: | ---: | --- | --- |\n| AUC | 0.250 | 0.500 | worse |" in text
    )
    assert "| Class | train | validation | test |\n| --- | ---: | ---: | ---: |\n| all rows | 8 | 2 | 4 |\n" in text
    assert f"| model.keras | {'ab' * 32} |" in text


TWELVE = Rows(12, labels=list("ab") * 6, given=["train"] * 8 + ["test"] * 4, headers={"given": "part"})


@pytest.mark.parametrize(
    ("split", "columns", "sentence"),
    [
        ("random", "", "The rows were dealt to the parts at random."),
        (
            "stratified",
            "  who: {role: group}\n",
            "The rows were dealt to the parts at random, so that each part has its share of every class; "
            "rows with the same who are in one part.",
        ),
        (
            "column",
            "  part: {role: split}\n",
            "The parts were given by the column part; it marks no row validation, so those rows were drawn from the rows marked train.",
        ),
    ],
)
def test_model_card_says_how_the_rows_were_divided(tmp_path, split, columns, sentence):
    run = make_run(tmp_path, {"ill": BINARY})
    config = (run / "config.yaml").read_text().replace("training:", f"{columns}split: {{method: {split}}}\ntraining:")
    run.write_text("config.yaml", config)
    plan = split_methods[split].plan(TWELVE)
    run.write_json("data.json", {**run.read_json("data.json"), "split": plan.record()})
    evaluate(run, "test", {"ill": [0, 0, 1, 1]}, {"ill": [[0.6], [0.7], [0.1], [0.65]]}, report=True)
    assert f"and 4 to test. {sentence}\n" in card(run)


def test_model_card_lists_its_limits(scored):
    limits = card(scored).partition("## Limits\n\n")[2].partition("\n\n## ")[0]
    assert limits.splitlines() == [
        "- The loss of ill has class weights, which shift the network's probabilities: they are not frequencies of rows.",
        "- The test part has been scored twice. Every choice made after seeing its scores makes them more optimistic.",
        "- The scores of ill are based on only 4 rows; other rows could give quite different ones.",
        "- Some classes of ill have few rows in the test part: no (2) and yes (2).",
        "- The scores have no intervals: it is unknown how much they depend on the choice of these rows.",
        "- Subgroups were not examined: the model may do worse for some people, places or devices than for others. "
        "The option evaluation.subgroups names columns to examine.",
        "- 2 rows (12.5 % of the table) were left out, so the scores do not apply to rows like them.",
        "- No column groups the rows. If several rows belong together, such as those of one patient, they may be in different parts, "
        "and the scores are too optimistic for new ones. A column with the role group keeps them in one part.",
        "- All rows are from t&amp;t.csv: rows from another place, device or year may be harder.",
    ]


def test_model_card_leaves_to_the_owner_what_only_the_owner_knows(scored):
    assert [line.partition("** ")[2] for line in card(scored).splitlines() if line.startswith(OWNER)] == [
        "what the model is meant for, and by whom and where it may be used.",
        "what it must not be used for.",
        "who is harmed by a wrong prediction and how it would be noticed; whose data these are and who consented to their use.",
    ]


def test_model_card_after_fit_has_the_validation_score_alone(tmp_path):
    run = make_run(tmp_path, {"ill": BINARY}, state="interrupted")
    written(run)
    text = card(run)
    scores = text.partition("## Scores\n\n")[2].partition("\n\n")[0]
    assert scores == (
        "On the 2 validation rows, the loss is 0.500 (lower is better). "
        "The best epoch was chosen on these rows, so the scores are slightly too optimistic for new ones."
    )
    assert "- The training was interrupted: the weights are those of the best epoch so far.\n" in text
    assert "- The test part has not been scored yet. To score it: mmtrain evaluate clinic/3\n" in text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (EVIL, "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("a|b", "a\\|b"),
        ("[a](http://b)", "\\[a\\](http://b)"),
        ("`a` *b* ~c~ $d$", "\\`a\\` \\*b\\* \\~c\\~ \\$d\\$"),
        ("_a_ __b__ lesion_mm", "\\_a\\_ \\_\\_b\\_\\_ lesion_mm"),
        ("a\n# b\n\n- c", "a # b - c"),
        ("a\\", "a\\\\"),
        ("&lt;", "&amp;lt;"),
    ],
)
def test_model_card_escapes(text, escaped):
    assert model_card.escaped(text) == escaped


def test_model_card_takes_no_name_for_markup(tmp_path):
    classes = [f"a|{EVIL}", "b\n| c", "[x](y)"]
    target = {"task": "multiclass", "column": "kind", "loss_weight": 1.0, "classes": classes, "counts": [4, 2, 2], "weights": [1.0] * 3}
    run = make_run(tmp_path, {"kind": {**target, "label_smoothing": 0.0}})
    evaluate(run, "test", {"kind": [0, 0, 1, 2]}, {"kind": np.eye(3)[[0, 1, 1, 2]]})
    text = card(run)
    assert "<script" not in text
    rows = text.partition("| all rows |")[2].partition("\n\n")[0].splitlines()[1:]
    assert rows == [
        "| a\\|&lt;script&gt;alert(1)&lt;/script&gt; | 4 (50.0 %) | 1 (50.0 %) | 2 (50.0 %) |",
        "| b \\| c | 2 (25.0 %) | 1 (50.0 %) | 2 (50.0 %) |",
        "| \\[x\\](y) | 2 (25.0 %) | 1 (50.0 %) | 2 (50.0 %) |",
    ]


# What its owner has written


def test_model_card_keeps_what_its_owner_has_written(tmp_path):
    run = make_run(tmp_path, {"ill": BINARY})
    evaluate(run, "validation", {"ill": [0, 1]}, {"ill": [[0.6], [0.7]]})
    first = card(run)
    purpose = "what the model is meant for, and by whom and where it may be used."
    filled = first.replace(f"{OWNER} {purpose}", "Triage in ward 3.\n\n### By whom\n\nNurses.")
    filled = filled.replace("who is harmed by a wrong prediction", "patients")
    notes = "## Our notes\n\n```\n## no heading\n```\nChecked by N. N.\n"
    (run / "model_card.md").write_text(f"{filled}\n{notes}", encoding="utf-8")
    for _ in range(2):
        evaluate(run, "test", {"ill": [0, 0, 1, 1]}, {"ill": [[0.6], [0.7], [0.1], [0.65]]})
        again = card(run)
        assert "## Intended use\n\nTriage in ward 3.\n\n### By whom\n\nNurses.\n" in again
        assert "\n> **To be filled in by the owner:** what it must not be used for.\n" in again
        assert "## Ethical considerations\n\n> **To be filled in by the owner:** patients and how it would be noticed" in again
        assert again.endswith(f"\n{notes}")
        assert again.count("## Our notes") == again.count("## Scores on the test part") == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "# A\n\n## Intended use\n\n> fill\n\n## Scores on the test part\n\nnew\n"),
        ("## Intended use\nmine\n", "# A\n\n## Intended use\nmine\n## Scores on the test part\n\nnew\n"),
        ("## Scores\n\nold\n", "# A\n\n## Intended use\n\n> fill\n\n## Scores on the test part\n\nnew\n"),
        ("# Old\n\n## Scores on the test part\n\nold\n", "# A\n\n## Intended use\n\n> fill\n\n## Scores on the test part\n\nnew\n"),
        (
            "## Notes\none\n## Notes\ntwo\n",
            "# A\n\n## Intended use\n\n> fill\n\n## Scores on the test part\n\nnew\n\n## Notes\none\n\n## Notes\ntwo\n",
        ),
    ],
)
def test_sections_of_the_owner_are_kept_and_all_others_are_new(before, after):
    card = "# A\n\n## Intended use\n\n> fill\n\n## Scores on the test part\n\nnew\n"
    assert model_card.keep_owner_sections(card, before) == after
