# The commands of this repository; `just` itself comes with requirements/dev.txt (package rust-just).
# CI runs the same ones (.ci/run).

set shell := ["bash", "-euo", "pipefail", "-c"]

export PATH := justfile_directory() / ".venv/bin" + ":" + env("PATH")

# list the commands
default:
    @just --list --unsorted

# everything that must hold before a change is sent
check: lint
    pytest -q

# everything but the tests
lint: changes
    ruff format --check
    ruff check
    mypy --strict src tests benchmarks deploy dev
    lint-imports --no-logo
    codespell

# format, and repair what can be repaired
fix:
    ruff check --fix
    ruff format
    codespell --write-changes

# the tests of one noun, such as `just test catalog`
test NOUN *ARGS:
    pytest -q {{ ARGS }} $(find tests -path '*{{ NOUN }}*' -name 'test_*.py')

# the demo, on the installed package
demo *ARGS:
    entrepot demo {{ ARGS }}

# Entrepot beside docker-registry and nginx on this machine (docs/reference/performance.md)
bench *ARGS:
    python -m benchmarks.registry {{ ARGS }}

# deploy/grafana/entrepot.json from the declared metrics
dashboard:
    python deploy/grafana/dashboard.py > deploy/grafana/entrepot.json

# the tables of docs/reference from the code they speak of
reference:
    python dev/reference.py

# a user-visible change needs its note in changes/ (CONTRIBUTING.md); silent where there is nothing to compare with
changes:
    if git rev-parse --quiet --verify origin/main >/dev/null; then towncrier check --compare-with origin/main; fi

# requirements/*.txt from pyproject.toml, with hashes, no release younger than a week; needs uv
lock *ARGS: (_lock "build" "runtime" ARGS) (_lock "dev" "dev" ARGS)

_lock GROUP NAME *ARGS:
    UV_CUSTOM_COMPILE_COMMAND="just lock" uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
        --no-annotate --exclude-newer "$(date --utc --date '7 days ago' +%F)" \
        --group {{ GROUP }} {{ ARGS }} --output-file requirements/{{ NAME }}.txt pyproject.toml
