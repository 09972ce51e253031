"""The Python front door: the functions of `commands`, the objects they return, and estimators in the manner of scikit-learn.

`mmtrain.fit` and the others are imported from here when they are asked for; see `mmtrain/__init__.py`.
"""
