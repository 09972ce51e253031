"""What all tests share: no image is cached outside the session's own folder, and TensorFlow is started as the commands start it."""

import gc

import pytest


def pytest_collection_finish():
    """What the imports of all tests have made stays: each network that Keras begins anew has all objects searched for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def image_cache(tmp_path_factory):
    """The folder of this session's image stores; processes that a test starts use it too."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMTRAIN_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def tensorflow():
    """TensorFlow, for tests that need it; the others do not wait for it.

    Hundreds of networks are built in one process: looking for garbage as often as Python does by default takes a sixth of the time.
    """
    from mmtrain.layers.start import start_tensorflow

    gc.set_threshold(50_000, 20, 100)
    start_tensorflow()
    import tensorflow

    return tensorflow
