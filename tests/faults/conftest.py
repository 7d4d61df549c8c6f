import pytest
from tests.faults.work import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project of its own for each file of tests."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("project")
        patch.chdir(folder)
        made = Project(folder)
        yield made
        made.close()
