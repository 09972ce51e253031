"""Our registered Keras layers: preprocessing that travels inside the saved model, and pieces of branches and fusions.

Each has a plain-JSON config: no paths, no URLs, no callables. Importing this package imports TensorFlow.
"""
