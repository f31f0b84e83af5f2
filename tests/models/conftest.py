"""Every network is built once for all tests of this room."""

import functools

import pytest

from bloodcell.models import build_model


@pytest.fixture(scope="session")
def built():
    """Return a function from a catalog name to its untrained model, built on first asking."""
    return functools.cache(build_model)
