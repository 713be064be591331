"""The fixtures of the assets' tests, here too."""

from batch_pipeline_tests.assets.conftest import make_project, project

__all__ = ["make_project", "project"]
