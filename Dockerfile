# The pipeline in a container: for the components on a cluster, and for machines where TFX's packages do not run.
#   docker build --platform linux/amd64 -t tfx-word2vec .
#   docker build --platform linux/amd64 -t tfx-word2vec:gpu --build-arg EXTRAS=kubeflow,gpu .
#   docker build --platform linux/amd64 -t tfx-word2vec:worker --target worker .     # for Beam's workers (docs/scaling.md)
#   mkdir -p runs
#   docker run --rm --user "$(id -u)" -v "$PWD/runs:/runs" tfx-word2vec
#   docker run --rm --user "$(id -u)" -v "$PWD/runs:/runs" -v "$PWD/reviews:/reviews:ro" tfx-word2vec \
#       local_runner.py --set root=/runs --config imdb --corpus /reviews
FROM debian:trixie-slim@sha256:a29215f6a35e51e22adffa17f89e9d2ef06214e64a2bad10d765c46aea49f11f AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates make python3 python3-pip-whl python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/tfx-word2vec

# First what the set-up reads, so that a change of code does not install 2 GB anew.
COPY README.md setup.py pyproject.toml constraints.txt Makefile local_runner.py kubeflow_runner.py ./
COPY tools tools
COPY word2vec/__init__.py word2vec/
COPY pipeline/__init__.py pipeline/
COPY components/__init__.py components/
COPY serving/__init__.py serving/
ARG EXTRAS=kubeflow
RUN TFX_WORD2VEC_EXTRAS="$EXTRAS" make setup && rm -rf .venv/.setup/tools
COPY . .
RUN .venv/bin/python -m compileall -q word2vec components pipeline serving

FROM debian:trixie-slim@sha256:a29215f6a35e51e22adffa17f89e9d2ef06214e64a2bad10d765c46aea49f11f AS components
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home word2vec \
    && install --directory --owner word2vec /runs
COPY --from=build /opt/tfx-word2vec /opt/tfx-word2vec
USER 10001
WORKDIR /opt/tfx-word2vec
# Also where a cluster gives the container a user of its own, who has no home.
ENV HOME=/tmp
ENV PATH="/opt/tfx-word2vec/.venv/bin:$PATH"
HEALTHCHECK --interval=60s --timeout=30s CMD ["python", "-c", "import pipeline.configs"]
ENTRYPOINT ["python"]
CMD ["local_runner.py", "--set", "root=/runs"]

# With Beam's own start program, which engines look for that start the containers themselves. Its version is that of
# apache-beam in constraints.txt; it is a program of Go, and the same for every Python.
FROM components AS worker
COPY --from=apache/beam_python3.12_sdk:2.77.0 /opt/apache/beam/boot /opt/apache/beam/boot
ENV RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1
ENTRYPOINT ["/opt/apache/beam/boot"]

FROM components
