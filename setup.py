"""Package metadata. The versions that are tested together are pinned in constraints.txt (`make lock` renews it)."""

import pathlib

import setuptools

PACKAGES = ("word2vec", "components", "pipeline", "serving")

setuptools.setup(
    name="tfx-word2vec",
    version="0.1.0",
    description="A TFX production pipeline for word embeddings: skip-gram with noise-contrastive estimation.",
    long_description=pathlib.Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    packages=setuptools.find_packages(include=[name for package in PACKAGES for name in (package, f"{package}.*")]),
    py_modules=["local_runner", "kubeflow_runner"],
    package_data={
        "pipeline": ["presets/*.yaml", "flink/*.yaml"],
        "components.corpus": ["schema/*.pbtxt"],
        "components.report": ["page.*"],
        "serving": ["page/*", "docker-compose.yaml", "kubernetes/*.yaml", "kubernetes/config/*"],
    },
    install_requires=[
        "aiohttp",
        "apache-beam",
        "gensim",  # carries the sample corpus and the question files
        "grpcio",
        "jinja2",
        "ml-metadata",
        "numba",  # compiles the training kernel on the machine that trains
        "pip",  # TFX's command line calls it
        "plotly",
        "pyarrow",
        "pydantic>=2",
        "pyyaml",
        "requests",
        "rich",
        "scikit-learn",
        "setuptools<81",  # the last that carries pkg_resources, which a dependency of TFX imports
        "tensorboard",
        "tensorflow",
        "tensorflow-serving-api",
        "tensorflow-text",
        "tensorflow-transform",
        "tfx==1.21.0",
    ],
    extras_require={
        "bench": ["fasttext"],
        "gpu": ["tensorflow[and-cuda] ; sys_platform == 'linux'"],
        "kubeflow": ["kfp>=2", "kfp-kubernetes", "kubernetes"],
        "lint": ["cyclonedx-bom", "mypy", "ruff", "types-psutil", "types-PyYAML", "types-requests"],
        "test": [
            "hypothesis",
            "kubernetes-validate",
            "psutil",
            "pytest",
            "pytest-timeout",
            "pytest-xdist",
            "selenium",
            "zstandard",
        ],
    },
)
