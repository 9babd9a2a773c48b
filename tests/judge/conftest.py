import pytest


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the test's own."""
    monkeypatch.setenv("FRENEMY_CACHE", str(tmp_path))
    return tmp_path
