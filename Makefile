# make demo     two minutes of pictures: PCA beside a model, noise removed, defects lit up, a training, the gallery
# make test     runs every test, on two processes; prints the slowest
# make test-pythons  runs the fast tests on each of Python 3.11, 3.12 and 3.13 that is installed
# make lint     checks format, lint, types and which room imports which
# make bench    times the core, the parts, whole runs: a short set, a table and a chart
# make docs     builds the pages in docs/, without a network; a warning is an error
# make notebook runs docs/notebooks/article.py into the notebook beside it, which takes minutes
# make release  builds every distribution, checks it, installs it elsewhere and tries it
# Each makes .venv and installs what it needs first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo
# Photographs that come with scikit-image and are kept out of training.
UNSEEN = $$($(BIN)/python -c "import skimage as s; print(*(s.__path__[0] + '/data/' + n for n in ('chelsea.png', 'coffee.png')))")

.PHONY: demo test test-pythons lint format bench bench-full docs notebook release clean

demo: $(VENV)/installed
	$(BIN)/convae-zoo reconstruct deep-residual-200.photos $(UNSEEN) --pca photos \
	  --out $(DEMO)/reconstructed --overwrite
	$(BIN)/convae-zoo denoise unet-denoiser.photographs $(UNSEEN) --corruption "gaussian(sigma=50)" \
	  --out $(DEMO)/denoised --overwrite
	$(BIN)/convae-zoo detect fit linear-residual-200 --dataset defects --set image_size=16 \
	  --score "reconstruction(smoothing=2)" --out $(DEMO)/detector.safetensors --overwrite
	$(BIN)/convae-zoo detect evaluate $(DEMO)/detector.safetensors --dataset defects \
	  --out $(DEMO)/defects --overwrite
	$(BIN)/convae-zoo train convae-200 --recipe fast --dataset photos --out $(DEMO)/run --overwrite
	$(BIN)/convae-zoo gallery --no-measure --out $(DEMO)/gallery --overwrite
	@echo
	@echo "Photographs that no model saw, PCA and a model of 200 numbers: $(DEMO)/reconstructed/comparison"
	@echo "The same with noise, and without it again:                     $(DEMO)/denoised/comparison"
	@echo "Defects, and where the detector sees them:                     $(DEMO)/defects/examples.png"
	@echo "A short training, its loss and its pictures:                   $(DEMO)/run/loss_curves.png $(DEMO)/run/pictures"
	@echo "Every model at work, in a browser:                             $(DEMO)/gallery/index.html"

test: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist loadgroup --durations 25

test-pythons:
	.ci/pythons

lint: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench bench-full: $(VENV)/installed
	mkdir -p runs/bench
	$(BIN)/python -m pytest benchmarks -q --benchmark-json=runs/bench/$@.json --benchmark-quiet \
	  $(if $(filter bench-full,$@),--full --timeout 3600) -p no:cacheprovider
	$(BIN)/python -m benchmarks.report runs/bench/$@.json --out runs/bench

docs: $(VENV)/installed
	$(BIN)/python -m sphinx -b html -W --keep-going -q docs docs/_build/html

notebook: $(VENV)/installed
	cd docs/notebooks && $(abspath $(BIN))/python -m jupytext --to ipynb --execute article.py
	$(BIN)/python docs/notebooks/shrink.py

release: $(VENV)/installed
	.ci/release

clean:
	rm -rf $(VENV) runs dist docs/_build

$(VENV)/installed: pyproject.toml plugins/convae_backbones/pyproject.toml plugins/convae_weights/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e '.[dev]' -e plugins/convae_backbones -e plugins/convae_weights
	touch $@
