"""Tells whether a CI service runs this process: there nobody looks at images, so nothing may be accepted."""

from __future__ import annotations

import os

from xai_eval.errors import UsageError

# Each service sets one of its own, so that an emptied CI does not hide it.
CI_VARIABLES = (
    "CI",
    "CONTINUOUS_INTEGRATION",
    "GITHUB_ACTIONS",
    "GITHUB_RUN_ID",
    "GITLAB_CI",
    "TF_BUILD",
    "JENKINS_URL",
    "BUILDKITE",
    "TEAMCITY_VERSION",
    "CIRCLECI",
    "TRAVIS",
    "APPVEYOR",
    "BITBUCKET_BUILD_NUMBER",
    "CODEBUILD_BUILD_ID",
    "DRONE_BUILD_NUMBER",
    "SEMAPHORE",
    "CIRRUS_CI",
    "WOODPECKER_CI",
    "GITEA_ACTIONS",
    "FORGEJO_ACTIONS",
)
_OFF = ("", "0", "false")


def refuse_under_ci(sentence: str) -> None:
    """Raise UsageError with `sentence` and the variable that tells of a CI, because only people change goldens."""
    variable = next((name for name in CI_VARIABLES if os.environ.get(name, "").lower() not in _OFF), None)
    if variable:
        raise UsageError(f"{sentence} This is a CI, because the variable {variable} is set.")
