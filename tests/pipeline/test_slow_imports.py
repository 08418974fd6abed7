from __future__ import annotations

import concurrent.futures
import importlib
import subprocess
import sys

import pytest

from pipeline import slow_imports

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


def test_who_asks_while_it_is_loaded_waits(tmp_path, monkeypatch):
    (tmp_path / "slow_module_of_a_test.py").write_text("import time\ntime.sleep(0.3)\nNUMBER = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(slow_imports, "_SLOW", ("slow_module_of_a_test",))
    module = importlib.import_module("slow_module_of_a_test")
    assert "NUMBER" not in vars(module)
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: module.NUMBER, range(4))) == [1] * 4
    assert "__getattr__" not in vars(module)
    del sys.modules["slow_module_of_a_test"]


def test_what_fails_to_load_can_be_asked_for_again(tmp_path, monkeypatch):
    path = tmp_path / "broken_module_of_a_test.py"
    path.write_text("raise ImportError('once')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(slow_imports, "_SLOW", ("broken_module_of_a_test",))
    module = importlib.import_module("broken_module_of_a_test")
    with pytest.raises(ImportError, match="once"):
        module.NUMBER  # noqa: B018
    path.write_text("NUMBER = 2  # of another size\n")
    assert module.NUMBER == 2
    del sys.modules["broken_module_of_a_test"]
