"""The start of TensorFlow in a process that shares a training with others."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mmtrain.errors import LostWorkerError, Problem, UsageError
from mmtrain.layers.start import start_tensorflow
from mmtrain.system.cluster import Cluster, gpu_of

if TYPE_CHECKING:
    from mmtrain.training.workers.collective import Alone


def join(cluster: Cluster | None) -> Alone:
    """Start TensorFlow, wait for the other workers, and return what they share; without a cluster this process trains alone.

    Each worker computes on one device: with several GPUs on its machine, on the one of its number there.

    Raises UsageError if this process has computed with TensorFlow before.
    """
    if cluster is not None:
        if (gpu := gpu_of(cluster)) is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        # When one worker ends, TensorFlow prints an error of each of its threads in the others, which say it in one sentence.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    start_tensorflow()
    import tensorflow as tf

    from mmtrain.training.workers.collective import Alone, Workers

    if cluster is None:
        return Alone()
    try:
        return Workers(cluster.addresses, cluster.number)
    except tf.errors.OpError as error:
        what = f"the other workers of {len(cluster.addresses)} did not come: {str(error).splitlines()[0]}"
        raise LostWorkerError(Problem("mmtrain fit", what, f"See their messages; the first one is at {cluster.addresses[0]}.")) from None
    except RuntimeError as error:
        # TensorFlow can open the connections only before its first operation.
        what = f"this process cannot join the other workers: {str(error).splitlines()[0]}"
        raise UsageError(Problem("TF_CONFIG", what, "Train in a process of its own.")) from None
