"""Words of other libraries and of everyday speech for what the experiment file and the command line call by one name.

Used by `errors.did_you_mean`: a word finds the first of its names that can stand in the place where it was written.
"""

from __future__ import annotations

import re

WORDS_OF = {
    # Commands
    "fit": "train training run learn tune search sweep resume",
    "evaluate": "eval test score scores metrics evaluation assess",
    "predict": "infer inference prediction predictions apply classify",
    "export": "convert save deploy serve",
    "inspect-data": "inspect describe eda profile audit analyze analyse data info",
    "check": "validate lint verify dry-run",
    "init": "new create start begin",
    "compare": "diff",
    "explain": "shap interpret why attribute attributions grad-cam gradcam",
    "pack": "zip archive",
    "unpack": "unzip extract",
    # Export formats
    "litert": "tflite tf_lite tensorflow_lite lite",
    "saved_model": "savedmodel tf tensorflow pb tf_serving",
    "keras": "h5 hdf5",
    # Sections
    "columns": "features inputs fields variables",
    "branches": "model network encoders towers backbones",
    "training": "train trainer fit optimization hyperparameters",
    "evaluation": "eval metrics",
    "split": "splits partition cv fold folds subset set part",
    "data": "dataset",
    "fusion": "fuse merge combine",
    # Data and columns
    "table": "csv file filename path source dataframe",
    "images": "image_dir images_dir image_folder images_folder img_dir image_path image_root root",
    "missing_values": "na_values na missing nan_values",
    "role": "type kind dtype",
    "column": "header name",
    "size": "shape image_size input_size resize resolution",
    "channels": "channel mode color colour",
    "positive": "positive_class pos_label pos positive_label",
    "missing": "na nan impute imputation fill",
    "normalize": "scale scaling scaler normalization standardization",
    "vectorize": "tokenize tokenizer vectorizer encoding",
    "max_tokens": "vocabulary vocab vocab_size max_features",
    "min_count": "minimum_count minimum_documents min_df min_documents min_frequency",
    "max_share": "maximum_documents max_df max_documents",
    "accents": "strip_accents",
    "ngrams": "ngram ngram_range n_grams bigrams",
    "augment": "augmentation augmentations transforms",
    # Roles and tasks
    "numeric": "number numerical float int integer continuous real double",
    "categorical": "category cat nominal factor enum ordinal",
    "image": "img image photo jpg jpeg png",
    "audio": "sound recording wav speech voice spectrogram",
    "text": "str string txt sentence words language nlp",
    "target": "label labels output y class answer outcome response",
    "group": "groups patient subject cluster",
    "id": "identifier key index uid",
    "time": "date datetime timestamp chronological temporal timeseries time_series",
    "weight": "weights sample_weight sample_weights",
    "binary": "logistic sigmoid classification",
    "multiclass": "multi_class multi-class softmax categorical classification",
    "multilabel": "multi_label multi-label tags",
    "regression": "number numeric continuous regress",
    "ordinal": "ordered ranks grades corn coral",
    "count": "poisson counts negative_binomial nbinom",
    "gaussian": "normal uncertainty heteroscedastic nll standard_deviation",
    "quantiles": "quantile pinball quantile_regression interval",
    "survival": "cox time_to_event time-to-event coxph deepsurv hazard",
    "vector": "multi_output multioutput multi-output multivariate",
    # Networks
    "method": "name type kind algorithm class",
    "architecture": "name type kind model network",
    "cnn": "conv convnet convolution convolutional",
    "mlp": "dense ffn feedforward fully_connected fc perceptron",
    "embedding_average": "embedding average_embedding fasttext",
    "resnet": "residual res_net residual_network",
    "ft_transformer": "transformer fttransformer ft-transformer tab_transformer tabtransformer",
    "tabm": "ensemble batch_ensemble batchensemble",
    "dcn": "dcnv2 dcn_v2 dcn-v2 deep_cross cross_network",
    "realmlp": "real_mlp pytabkit",
    "members": "ensemble_size n_members n_estimators",
    "blocks": "n_blocks num_blocks depth num_layers n_layers",
    "linear": "wide wide_and_deep",
    "embed": "embedding num_embedding numeric_embedding num_encoding",
    "piecewise_linear": "ple bins binning piecewise",
    "quantile": "rank quantile_transform rankgauss normal_score",
    "periodic": "plr fourier sin",
    "concatenate": "concat cat join",
    "add": "sum plus",
    "multiply": "product mul hadamard",
    "average": "mean avg",
    "maximum": "max",
    "gated": "gate gating gmu glu",
    "attention": "attn transformer self_attention cross_attention",
    "standard": "zscore z_score z-score standardize std",
    "minmax": "min_max min-max",
    "tfidf": "tf-idf tf_idf bow bag_of_words",
    "tokens": "token sequence ids embedding",
    "units": "hidden hidden_units hidden_size layers hidden_layers neurons width",
    "filters": "conv_filters kernels out_channels",
    "kernel": "kernel_size",
    "pooling": "pool",
    "activation": "act nonlinearity",
    "dropout": "drop drop_rate dropout_rate",
    # Split
    "validation": "val valid dev validation_split validation_size val_size val_split eval",
    "test": "holdout hold_out test_size test_split",
    "stratified": "stratify",
    "folds": "k n_splits n_folds num_folds kfold k_fold cv",
    "repeats": "n_repeats num_repeats repetitions",
    "seeds": "n_seeds num_seeds",
    "random": "shuffle shuffled",
    # Training
    "epochs": "epoch num_epochs n_epochs max_epochs iterations",
    "batch_size": "bs batch batchsize minibatch",
    "optimizer": "optim opt optimiser solver",
    "learning_rate": "lr rate eta step_size",
    "schedule": "scheduler lr_schedule lr_scheduler learning_rate_schedule",
    "warmup_epochs": "warmup warm_up",
    "weight_decay": "wd decay l2",
    "clip_norm": "clip clipnorm grad_clip gradient_clip gradient_clipping max_norm max_grad_norm",
    "clip_value": "clipvalue",
    "accumulate": "grad_accum accumulation gradient_accumulation gradient_accumulation_steps accumulate_grad_batches",
    "weight_average": "ema swa moving_average",
    "precision": "amp mixed_precision fp16 bf16 dtype",
    "float16": "fp16 half",
    "bfloat16": "bf16",
    "float32": "fp32 single",
    "jit": "xla compile jit_compile",
    "class_weights": "class_weight weights balance balanced",
    "early_stopping": "earlystopping early_stop patience monitor",
    "patience": "wait",
    "min_delta": "delta tolerance",
    "standard_errors": "one_standard_error",
    "seed": "random_state random_seed rng",
    "callbacks": "callback",
    "adamw": "adam_w",
    "rmsprop": "rms rms_prop",
    "cosine": "cosine_annealing cos onecycle",
    "plateau": "reduce_on_plateau reducelronplateau",
    "exponential": "exp",
    "validation_loss": "loss val_loss",
    "maximize": "max up higher",
    "minimize": "min down lower",
    "drop": "remove skip delete",
    "error": "raise fail",
    "mask": "ignore",
    # Evaluation
    "draws": "bootstrap n_bootstrap resamples",
    "interval": "ci confidence confidence_level",
    "baselines": "baseline",
    "subgroups": "subgroup slices",
    "calibration": "calibrate",
    "threshold": "cutoff",
}
"""Name to the usual words for it."""

NAMES: dict[str, list[str]] = {}
for _name, _words in WORDS_OF.items():
    for _word in _words.split():
        NAMES.setdefault(_word, []).append(_name)


def names_of(word: str) -> list[str]:
    """The names that a word may mean, in the order of `WORDS_OF`; of a score, `validation_auc` for `val_auc`."""
    plain = word.casefold().lstrip("-")
    # `grad-cam` and `grad cam` are `grad_cam`.
    names = NAMES.get(plain) or NAMES.get(re.sub(r"[ -]", "_", plain), [])
    return [*names, f"validation_{plain.removeprefix('val_')}"] if plain.startswith("val_") else names
