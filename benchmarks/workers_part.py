"""One of the workers that `benchmarks.workers` measures."""

from __future__ import annotations

import logging
import os
import pathlib
import re
import sys

from benchmarks import parts, systems
from word2vec import progress


class _Log(logging.Handler):
    """Hears how much was sent."""

    sent_mb = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Of the latest epoch."""
        if found := re.search(r"Sent to other workers until now: ([\d.]+) MB", record.getMessage()):
            self.sent_mb = float(found[1])


def main() -> None:
    """Trains as the first argument, in JSON, says; the chief answers."""
    options = parts.request()
    os.sched_setaffinity(0, {options["core"] % (os.cpu_count() or 1)})
    import absl.logging
    import tensorflow_text  # noqa: F401
    from gensim.models import KeyedVectors

    from word2vec import threads, vectors, vocabulary
    from word2vec.training import job

    absl.logging.use_absl_handler()
    absl.logging.set_verbosity(absl.logging.INFO)
    threads.one_thread_an_op()
    listener, log = systems.Listener(), _Log()
    progress.add_handler(listener)
    logging.getLogger().addHandler(log)
    run, work = pathlib.Path(options["run"]), pathlib.Path(options["folder"])
    training = systems.job_of(run, work, options["config"])
    job.train(training)
    if options["core"]:
        return
    assert listener.latest is not None  # every training that ends well tells of its steps
    keyed = KeyedVectors.load_word2vec_format(str(work / "model" / vectors.FOLDER / vectors.BINARY), binary=True)
    million_words = vocabulary.read(training.vocabulary).counts.sum() * training.epochs / options["workers"] / 1e6
    parts.answer(
        {
            **systems.quality(keyed),
            "words_per_second": round(listener.latest.words_per_second),
            "sent_mb": log.sent_mb / million_words,
        }
    )


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # TensorFlow would wait for workers that may have gone
