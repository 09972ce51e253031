"""One plain function per command. Read these first: each tells its story from top to bottom.

`fitting/` has the parts of `fit`, `comparison/` the commands on several runs, `deployment/` those that take a run elsewhere, and
`installation/` those on caches, encoders and names.
"""
