"""What the process imports from which `forked` makes runs."""

import local_runner  # noqa: F401
from pipeline import forks

forks.prepare()
