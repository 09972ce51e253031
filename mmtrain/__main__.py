"""`python -m mmtrain`."""

from mmtrain.cli import main

main()
