"""`python shared_trainings.py FOLDER NUMBER ADDRESSES...`: one of several workers that train the same experiments.

The first worker also trains each in one process, and writes the scores of all epochs and the last weights of both to results.json.
"""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

EPOCHS = 3
TABLE = {
    "x": {"role": "numeric"},
    "kind": {"role": "categorical"},
    "note": {"role": "text", "vectorize": "tokens", "max_tokens": 6},
    "review": {"role": "text", "max_length": 8, "missing": "mask"},
    "scan": {"role": "image", "size": [8, 8], "channels": 1},
    "y": {"role": "target", "task": "binary", "positive": "high"},
    "z": {"role": "target", "task": "regression"},
    "weight": {"role": "weight"},
    "gaps": {"role": "target", "task": "quantiles", "missing": "mask"},
    "drawn": {"role": "target", "task": "binary", "positive": "rare", "sample": "balanced"},
}


def experiment(columns, branches, fusion=None, **training):
    """The tree of an experiment on some of the columns; the sizes are such that a batch has one row or three."""
    return {
        "name": "shared",
        "columns": {key: TABLE[key] for key in columns},
        "branches": branches,
        **({"fusion": fusion} if fusion else {}),
        "split": {"validation": 0.2167, "test": 0.1, "seed": 3},
        "training": {"epochs": EPOCHS, "batch_size": 8, "deterministic": True, **training},
    }


REVIEWS = ("the dress fit, a dress!", "good", "bad dresses", "a good fit, the bad", "", "good fit")
ENCODED = {
    "columns": ["review"],
    "architecture": "pretrained",
    "model": "tiny_bert",
    "tune": "lora",
    "rank": 2,
    "blocks": 1,
    "dropout": 0.0,
}
"""The first epochs train on cached features of the encoder, the last one trains its adapters."""
MLP = {"columns": ["x", "kind"], "architecture": "mlp", "units": [8]}
CASES = {
    "table": experiment(["x", "kind", "y"], {"table": MLP}, clip_norm=0.05, weight_average=0.9, weight_decay=0.01),
    "accumulated": experiment(["x", "kind", "y"], {"table": MLP}, accumulate=2, clip_value=0.01),
    "compiled": experiment(["x", "kind", "y"], {"table": MLP}, deterministic=False, jit="on", steps_per_call=2),
    "bfloat16": experiment(["x", "kind", "y"], {"table": MLP}, deterministic=False, precision="bfloat16"),
    "float16": experiment(["x", "kind", "y"], {"table": MLP}, deterministic=False, precision="float16"),
    "two targets": experiment(["x", "kind", "y", "z"], {"table": MLP}, class_weights="balanced"),
    "gaps, weights and drawn rows": experiment(["x", "kind", "weight", "gaps", "drawn"], {"table": MLP}),
    "normalized": experiment(["x", "kind", "y"], {"table": {**MLP, "normalization": "batch"}}),
    "words": experiment(
        ["x", "note", "y"],
        {"table": {**MLP, "columns": ["x"]}, "note": {"columns": ["note"], "architecture": "embedding_average"}},
        {"method": "concatenate", "auxiliary": 1.0},
        clip_norm=0.05,
    ),
    "images": experiment(
        ["x", "scan", "y"],
        {"table": {**MLP, "columns": ["x"]}, "scan": {"columns": ["scan"], "architecture": "cnn", "filters": [4]}},
        stages=[{"epochs": 1, "unfreeze": ["fusion", "targets"]}, {"epochs": EPOCHS - 1, "begin_with": "best"}],
    ),
    "tuned encoder": experiment(
        ["x", "review", "y"], {"table": {**MLP, "columns": ["x"]}, "review": ENCODED}, clip_norm=0.05, learning_rate=0.01
    ),
    "members": experiment(["x", "kind", "y"], {"table": {"columns": ["x", "kind"], "architecture": "tabm", "units": [8], "dropout": 0.0}}),
}


def write_data(folder):
    """The table of all cases, with images, and an encoder of texts."""
    from tiny import paint, write_table
    from tiny_encoders import write_model

    write_model(folder / "tiny_bert", modules=["Transformer", "Pooling"], pooling={"pooling_mode_mean_tokens": True})
    rows = 60
    for row in range(rows):
        paint(folder / f"scans/{row}.png", (row % 2) * 90 + row)
    write_table(
        folder / "table.csv",
        [
            {
                "x": (row % 2) * 2 - 1 + (row % 7) / 10,
                "kind": "abc"[row % 3],
                "note": f"w{row % 5} w{row % 3} w{row % 2}",
                "review": REVIEWS[row % len(REVIEWS)],
                "scan": f"scans/{row}.png",
                "y": ("low", "high")[row % 2],
                "z": row / 10,
                "weight": 1 + row % 3,
                "gaps": row / 10 if row % 7 > 2 else "",
                "drawn": "rare" if row % 5 == 0 else "usual",
            }
            for row in range(rows)
        ],
    )


def train(folder, tree, workers, place):
    """The scores of every epoch and the weights after the last one; nothing on workers that are not the first."""
    import yaml
    from tiny import lines, ready, write_experiment

    from mmtrain.artifacts import run_folder
    from mmtrain.pipeline.build import EncodedTable, assemble_training
    from mmtrain.training import loop

    tree = yaml.safe_load(yaml.safe_dump(tree))
    one = ready(write_experiment(folder / f"worker{workers.number}.yaml", tree))
    table = EncodedTable(one.experiment, one.data, one.partition, one.fitted, one.arrays)
    _, data, _ = assemble_training(table, lambda _: None, workers=workers)
    place.mkdir(parents=True)
    run = run_folder.begin(place, "shared")
    loop.train(data, run, lambda _: None)
    weights = [variable.numpy().astype(np.float64).ravel() for variable in data.models.stored.variables]
    # As text, with all digits: equal if and only if the bits are.
    return {
        "epochs": lines(run / "metrics.jsonl") if workers.is_first else [],
        "weights": np.concatenate(weights).tolist(),
    }


def main(folder, number, addresses):
    from mmtrain.system.cluster import Cluster
    from mmtrain.training.workers.join import join

    workers = join(Cluster(tuple(addresses), number))
    from mmtrain.training.workers.collective import Alone

    results = {}
    for name, tree in CASES.items():
        shared = train(folder, tree, workers, folder / f"shared{number}" / name)
        alone = {"alone": train(folder, tree, Alone(), folder / "alone" / name)} if workers.is_first else {}
        results[name] = {"shared": shared, **alone}
    Path(folder, f"results{number}.json").write_text(json.dumps(results))
    workers.of_first("")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
