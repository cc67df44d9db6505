# make demo   trains convae-200 on photographs, measures it against PCA, draws pictures
# make test   runs every test
# make lint   checks format, lint and types
# Each makes .venv and installs what it needs first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo
EPOCHS := 4

.PHONY: demo test lint format clean

demo: $(VENV)/installed
	$(BIN)/convae-zoo train convae-200 --dataset photos --epochs $(EPOCHS) --out $(DEMO) --overwrite
	$(BIN)/convae-zoo evaluate $(DEMO) --dataset photos
	$(BIN)/python -m convae_datasets.photos $(DEMO)/unseen
	$(BIN)/convae-zoo reconstruct $(DEMO) $(DEMO)/unseen/*.png --out $(DEMO)/reconstructions.png
	@echo
	@echo "Originals and reconstructions, an epoch each:  $(DEMO)/pictures"
	@echo "Photographs that it never saw:                 $(DEMO)/reconstructions.png"
	@echo "Loss curves:                                   $(DEMO)/loss_curves.png"

test: $(VENV)/installed
	$(BIN)/python -m pytest

lint: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) runs

$(VENV)/installed: pyproject.toml plugins/convae_vgg16/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e '.[dev]' -e plugins/convae_vgg16
	touch $@
