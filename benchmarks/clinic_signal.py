"""How much each view of the synthetic clinic knows: test AUC of table, note and scan alone, and of all three.

    python benchmarks/clinic_signal.py [--quick] [--json FILE]        (about three minutes on two cores)

Plain references, nothing tuned, for scores of mmtrain on this data to be held against: logistic regression on the table, TF-IDF with
logistic regression on the notes, a small CNN from scratch on the scans. `averaged` is the mean of the three models' standardised
logits. `joint` is one Keras model of all three inputs, trained at once. Every split keeps a patient on one side; a quarter of the
patients is the test part. Told is one line per split, and the means.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image
from script import keep, parser
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mmtrain.layers.start import start_tensorflow

start_tensorflow()  # without its greetings
import keras  # noqa: E402

Array = npt.NDArray[np.float32]
CLINIC = Path(__file__).parent.parent / "sample_data" / "clinic"
TABLE_COLUMNS = ["age", "sex", "site", "smoker", "lesion_mm"]
SPLITS, TEST_SHARE, SIDE, EPOCHS, BATCH = 5, 0.25, 64, 30, 32


def read_clinic() -> tuple[pd.DataFrame, Array, Array]:
    """The table, the scans as (rows, 64, 64, 1) in -2..2, and the answers, 1 for malignant."""
    table = pd.read_csv(CLINIC / "patients.csv").fillna({"note": ""})
    scans = [Image.open(CLINIC / "scans" / name).resize((SIDE, SIDE), Image.Resampling.BILINEAR) for name in table["scan"]]
    pixels = np.stack([np.asarray(scan, dtype=np.float32) for scan in scans])[..., None] / 64 - 2
    return table, pixels.astype(np.float32), np.asarray(table["diagnosis"] == "malignant", dtype=np.float32)


def table_encoder() -> ColumnTransformer:
    """Median and standard scale for numbers, one-hot for words; a hole in a word column is a category of its own."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    words = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="unknown"), OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    )
    return ColumnTransformer(
        [("numbers", numbers, make_column_selector(dtype_include="number")), ("words", words, make_column_selector(dtype_exclude="number"))]
    )


def cnn(pixels: keras.KerasTensor) -> keras.KerasTensor:
    """Three blocks of convolution and pooling, then the mean over all places: 64 features."""
    features = keras.layers.RandomFlip("horizontal")(pixels)
    for filters in (16, 32, 64):
        features = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(features)
        features = keras.layers.MaxPooling2D()(features)
    return keras.layers.GlobalAveragePooling2D()(features)


def train(model: keras.Model, inputs: list[Array], answers: Array, epochs: int) -> keras.Model:
    """Train in place for a fixed number of epochs, both diagnoses weighing the same in total."""
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)  # XLA is slower here
    weights = {0: 0.5 / (1 - answers.mean()), 1: 0.5 / answers.mean()}
    model.fit(inputs, answers[:, None], epochs=epochs, batch_size=BATCH, class_weight=weights, verbose=0)
    return model


def scan_logits(train_scans: Array, answers: Array, test_scans: Array, epochs: int) -> Array:
    """Logits of the test scans by a CNN that saw the scans only."""
    pixels = keras.Input((SIDE, SIDE, 1))
    model = train(keras.Model([pixels], keras.layers.Dense(1)(cnn(pixels))), [train_scans], answers, epochs)
    return np.asarray(model([test_scans], training=False)).ravel()


def joint_logits(train_inputs: list[Array], answers: Array, test_inputs: list[Array], epochs: int) -> Array:
    """Logits of one model: a CNN for the scans, a small dense layer for table and note, the three concatenated."""
    inputs = [keras.Input(values.shape[1:]) for values in train_inputs]
    branches = [cnn(inputs[0])] + [keras.layers.Dense(32, "relu")(keras.layers.Dropout(0.3)(vector)) for vector in inputs[1:]]
    fused = keras.layers.Dropout(0.3)(keras.layers.Concatenate()(branches))
    model = train(keras.Model(inputs, keras.layers.Dense(1)(fused)), train_inputs, answers, epochs)
    return np.asarray(model(test_inputs, training=False)).ravel()


def score_split(table: pd.DataFrame, pixels: Array, answers: Array, seed: int, epochs: int) -> dict[str, float]:
    """Test AUC of every model on the grouped split of this seed."""
    splitter = GroupShuffleSplit(1, test_size=TEST_SHARE, random_state=seed)
    learn, test = next(splitter.split(table, groups=table["patient"]))
    keras.utils.set_random_seed(seed)
    encoders: dict[str, Pipeline | ColumnTransformer] = {"table": table_encoder(), "note": TfidfVectorizer(sublinear_tf=True)}
    inputs = {"scan": (pixels[learn], pixels[test])}
    logits = {"scan": scan_logits(pixels[learn], answers[learn], pixels[test], epochs)}
    for name, columns in (("table", TABLE_COLUMNS), ("note", "note")):
        encoded = [encoders[name].fit_transform(table.loc[learn, columns]), encoders[name].transform(table.loc[test, columns])]
        learn_values, test_values = (np.asarray(values.todense() if name == "note" else values, dtype=np.float32) for values in encoded)
        inputs[name] = (learn_values, test_values)
        model = LogisticRegression(class_weight="balanced", max_iter=1000).fit(inputs[name][0], answers[learn])
        logits[name] = model.decision_function(inputs[name][1])
    logits["averaged"] = np.mean([StandardScaler().fit_transform(values[:, None]).ravel() for values in logits.values()], axis=0)
    learn_inputs, test_inputs = ([pair[part] for pair in inputs.values()] for part in (0, 1))
    logits["joint"] = joint_logits(learn_inputs, answers[learn], test_inputs, epochs)
    return {name: float(roc_auc_score(answers[test], values)) for name, values in logits.items()}


def main() -> None:
    options = parser(__doc__, quick="One split and one epoch, to see that it runs.").parse_args()
    splits, epochs = (1, 1) if options.quick else (SPLITS, EPOCHS)
    table, pixels, answers = read_clinic()
    scores = pd.DataFrame({seed: score_split(table, pixels, answers, seed, epochs) for seed in range(splits)}).T
    scores.loc["mean"] = scores.mean()
    print(scores.rename_axis("split").to_string(float_format="{:.3f}".format))
    keep(options, {"splits": splits, "epochs": epochs}, scores.round(4).to_dict("index"))


if __name__ == "__main__":
    main()
