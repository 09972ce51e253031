"""`python -m mmtrain`. Nothing is imported from the folder it is started in, as by `mmtrain`: that may be a stranger's run."""

import sys

from mmtrain.cli import main

# With -m, Python puts the current folder first.
if not sys.flags.safe_path:
    del sys.path[0]
main()
