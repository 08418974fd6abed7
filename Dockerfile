# The pipeline in a container: for machines where TFX's packages do not run, and for the components on a cluster.
#   docker build --platform linux/amd64 -t tfx-word2vec .
#   docker run --rm -v "$PWD/runs:/home/word2vec/tfx-word2vec/runs" tfx-word2vec make run
FROM debian:trixie-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates make python3 python3-pip-whl python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home word2vec

USER word2vec
WORKDIR /home/word2vec/tfx-word2vec

# First what the set-up reads, so that a change of code does not install 2 GB anew.
COPY --chown=word2vec README.md setup.py pyproject.toml constraints.txt Makefile local_runner.py kubeflow_runner.py ./
COPY --chown=word2vec tools tools
COPY --chown=word2vec pipeline/__init__.py pipeline/
COPY --chown=word2vec components/__init__.py components/
COPY --chown=word2vec serving/__init__.py serving/
RUN make setup

COPY --chown=word2vec . .
ENV PATH="/home/word2vec/tfx-word2vec/.venv/bin:$PATH"
CMD ["make", "run"]
