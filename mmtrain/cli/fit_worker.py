"""`python -m mmtrain.cli.fit_worker ARGUMENTS`: `mmtrain` as one of several workers, which ends with the process that started it."""

from mmtrain.cli import main
from mmtrain.system.worker_process import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    main()
