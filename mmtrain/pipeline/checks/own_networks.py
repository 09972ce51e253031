"""A test build of branches and fusions from `--code` files: whether they can be built shows in no other way."""

from __future__ import annotations

from mmtrain.branches import architectures
from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.errors import MmtrainError, Problem, UsageError
from mmtrain.fusions import fusions
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.build import assemble_network
from mmtrain.pipeline.prepare import LoadedData
from mmtrain.splits.plan import Partition
from mmtrain.system.user_code import is_user_code, place_of


def check_own_networks(experiment: Experiment, data: LoadedData, partition: Partition) -> None:
    """Build the branches with an architecture of the user's own; the whole network if the fusion is.

    TensorFlow is not started if there are neither.

    Raises UsageError as `fit` does, and for an exception in the user's file, with its line.
    """
    own = {key: branch for key, branch in experiment.branches.items() if is_user_code(architectures[branch.architecture].build)}
    if not is_user_code(fusions[experiment.fusion.method].build):
        if not own:
            return
        # Only these: other branches may read the weights of an encoder.
        plain = fusions["concatenate"].section(method="concatenate")
        experiment = experiment.model_copy(update={"branches": own, "fusion": plain})
    start_tensorflow()
    fitted = encode.fit(experiment.columns, data.table, partition.train, experiment.training.class_weights)
    try:
        assemble_network(experiment, fitted)
    except MmtrainError:
        raise
    except (Exception, SystemExit) as error:  # a file that ends the program would end `check` as if all were right
        where = place_of(error)
        if not where:
            raise
        what = f"the network could not be built: {type(error).__name__}: {str(error).rstrip('.')}."
        raise UsageError(Problem(where, what, "Mend it; `mmtrain fit` shows the whole traceback.")) from error
