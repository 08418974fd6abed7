"""Labels versions for TF Serving, which lets clients ask for `stable` or `canary` and switches without a restart.

    python -m serving.release --model runs/sample/serving_model --stable 1790000000 --canary 1790086400 \\
        --to models.config

To promote the canary, or to go back, is the same command with other numbers: TF Serving reads the file again.
"""

from __future__ import annotations

import argparse
import pathlib
import sys

from serving import command_line, folders
from serving.quiet import quiet
from word2vec import whole_files
from word2vec.errors import UserError, reason


def config(model: str, labels: dict[str, int], *, name: str, base_path: str) -> str:
    """TF Serving's `--model_config_file`.

    Args:
        model: the folder of the versions, as it is seen here.
        labels: a version by label.
        name: the model's.
        base_path: the folder as TF Serving sees it.

    Raises:
        UserError: a version is not in the folder.
    """
    # Seconds that --help need not wait.
    with quiet():
        from google.protobuf import text_format
        from tensorflow_serving.config import model_server_config_pb2

    there = folders.find(model)
    for label, number in labels.items():
        if number not in there:
            known = ", ".join(map(str, sorted(there))) or "none"
            raise UserError(f"--{label} {number}: no such version in {model}. There is: {known}")
    server_config = model_server_config_pb2.ModelServerConfig()
    one = server_config.model_config_list.config.add(name=name, base_path=base_path, model_platform="tensorflow")
    one.model_version_policy.specific.versions.extend(sorted(set(labels.values())))
    for label, number in labels.items():
        one.version_labels[label] = number
    return text_format.MessageToString(server_config)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return command_line.run(lambda: _run(arguments))


def _run(arguments: list[str] | None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m serving.release", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, metavar="FOLDER", help="the folder of the versions")
    parser.add_argument("--stable", required=True, type=command_line.VERSION, metavar="VERSION")
    parser.add_argument("--canary", type=command_line.VERSION, metavar="VERSION")
    parser.add_argument(
        "--name", type=command_line.model_name, default="word2vec", help="the model's name (%(default)s)"
    )
    parser.add_argument("--base-path", default="/models/word2vec", help="as TF Serving sees the folder (%(default)s)")
    parser.add_argument("--to", required=True, type=pathlib.Path, metavar="FILE", help="what TF Serving reads")
    options = parser.parse_args(arguments)
    if options.to.is_dir() or not options.to.parent.is_dir():
        raise UserError(f"--to {options.to}: expected a file in a folder that there is")
    folders.check(options.model)
    labels = {"stable": options.stable} | ({"canary": options.canary} if options.canary is not None else {})
    text = config(options.model, labels, name=options.name, base_path=options.base_path)
    try:
        whole_files.write_text(options.to, text)
    except (OSError, ValueError) as error:
        raise UserError(f"--to {options.to}: cannot be written: {reason(error, with_file=False)}") from None
    command_line.say(str(options.to))


if __name__ == "__main__":
    sys.exit(main())
