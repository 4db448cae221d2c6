# Every recipe is one line; `make` alone lists the targets.
RUN = environment/run
PROFILE ?= quick
DATA ?=
OPTIONS ?=
IMAGE ?= layerwise
LINT = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/layerwise/lint

.DEFAULT_GOAL := help
.PHONY: help env polyp-sweep prototxt figures test lint image clean

help:          ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

env:           ## build the private Debian 11 root with Caffe (about 70 s, 1.4 GB)
	$(RUN) true

polyp-sweep:   ## train and score all depths; DATA=FOLDER for your frames, PROFILE=quick|reference|paper
	$(RUN) layerwise sweep polyp --profile $(PROFILE) $(if $(DATA),--images "$(DATA)") $(OPTIONS)

prototxt:      ## write prototxt/ and solvers/ anew from the rows of python/layerwise
	$(RUN) layerwise generate

figures:       ## redraw figures and tables of results/ (no Caffe, no images)
	$(RUN) layerwise figures results --out figures

test:          ## run the tests, then try the Docker image where buildah is installed
	$(RUN) python3 -m pytest -q tests
	environment/test-image

lint: $(LINT)/done  ## ruff and mypy
	$(LINT)/bin/ruff check python data_prep tests && $(LINT)/bin/mypy python data_prep

$(LINT)/done: environment/lint-requirements.txt
	python3 -m venv --clear $(LINT) && $(LINT)/bin/pip install -q -r $< && touch $@

image:         ## build the Docker image
	docker build -t $(IMAGE) .

clean:         ## remove prepared data, runs and figures of this folder
	rm -rf data runs figures
