from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import pipeline.pipeline

print("google.cloud.aiplatform" in sys.modules)
for module in list(sys.modules.values()):
    vars(module), hasattr(module, "__file__"), hasattr(module, "__wrapped__")  # as who looks through all modules does
print("google.cloud.aiplatform" in sys.modules)
from tfx import v1 as tfx
print(tfx.extensions.google_cloud_ai_platform.Pusher.__name__)
print("google.cloud.aiplatform" in sys.modules)
"""


def test_the_client_of_ai_platform_is_loaded_when_asked_for():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["False", "False", "Pusher", "True"]
