# make demo     trains convae-200 on photographs, measures it against PCA, finds defects, draws pictures
# make test     runs every test, on two processes; prints the slowest
# make lint     checks format, lint, types and which room imports which
# make bench    times the core, the parts, whole runs: a short set, a table and a chart
# make docs     builds the pages in docs/, without a network; a warning is an error
# make release  builds every distribution, checks it, installs it elsewhere and tries it
# Each makes .venv and installs what it needs first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo
EPOCHS := 4
# Photographs that come with scikit-image and are kept out of training.
UNSEEN = $$($(BIN)/python -c "import skimage as s; print(*(s.__path__[0] + '/data/' + n for n in ('chelsea.png', 'coffee.png')))")

.PHONY: demo test lint format bench bench-full docs release clean

demo: $(VENV)/installed
	$(BIN)/convae-zoo train convae-200 --dataset photos --epochs $(EPOCHS) --out $(DEMO) --overwrite
	$(BIN)/convae-zoo evaluate $(DEMO) --dataset photos
	$(BIN)/convae-zoo compare $(DEMO) --dataset photos --out $(DEMO)/first_and_last_epoch.png
	$(BIN)/convae-zoo reconstruct $(DEMO) $(UNSEEN) --out $(DEMO)/reconstructions
	$(BIN)/convae-zoo detect fit linear-residual-200 --dataset defects \
	  --score "combined(smoothing=2, blur=0.5)" --out $(DEMO)/detector.safetensors
	$(BIN)/convae-zoo detect evaluate $(DEMO)/detector.safetensors --dataset defects --out $(DEMO)/defects
	@echo
	@echo "Originals and reconstructions, a picture per epoch:    $(DEMO)/pictures"
	@echo "The first epoch beside the last:                      $(DEMO)/first_and_last_epoch.png"
	@echo "Photographs that it never saw:                        $(DEMO)/reconstructions"
	@echo "Loss curves:                                          $(DEMO)/loss_curves.png"
	@echo "Defects drawn into photographs, and where it sees them: $(DEMO)/defects/examples.png"

test: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist loadgroup --durations 25

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

release: $(VENV)/installed
	.ci/release

clean:
	rm -rf $(VENV) runs dist docs/_build

$(VENV)/installed: pyproject.toml plugins/convae_backbones/pyproject.toml plugins/convae_weights/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e '.[dev]' -e plugins/convae_backbones -e plugins/convae_weights
	touch $@
