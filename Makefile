# Every recipe is one line; `make` alone lists the targets.
RUN = environment/run
PROFILE ?= quick
DATA ?=
OPTIONS ?=
TORCH ?=
IMAGE ?= layerwise

.DEFAULT_GOAL := help
SWEEPS = polyp-sweep pe-sweep frames-sweep cimt-sweep
.PHONY: help env $(SWEEPS) prototxt figures bench test lint image clean distclean

help:          ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

env:           ## build the private Debian 11 root with Caffe (about 70 s, 1.2 GB); MIRROR=URL names a Debian mirror
	$(RUN) true

polyp-sweep:   ## polyp detection: train and score all depths; DATA=FOLDER for your images, PROFILE=quick|reference|paper
pe-sweep:      ## the same for emboli in CT angiograms; DATA=FOLDER for your volumes
frames-sweep:  ## the same for the quality of colonoscopy frames
cimt-sweep:    ## the same for the intima-media boundaries of the carotid
$(SWEEPS):
	$(RUN) layerwise sweep $(@:-sweep=) --profile $(PROFILE) $(if $(DATA),--images "$(DATA)") $(OPTIONS)

prototxt:      ## write prototxt/ and solvers/ anew from the rows of python/layerwise
	$(RUN) layerwise generate

figures:       ## redraw figures, tables, claims and report of results/ into figures/ (no training, no images)
	$(RUN) layerwise figures results --out figures

bench:         ## measure the speed against plain Caffe (half an hour, an idle machine); TORCH=PYTHON adds PyTorch's
	$(RUN) python3 -m layerwise.bench $(OPTIONS)
	$(if $(TORCH),PYTHONPATH=python:. $(TORCH) -m layerwise.bench pytorch)

test:          ## run the tests, then try the Docker image where buildah is installed
	$(RUN) python3 -m pytest -q tests
	environment/test-image

lint:          ## ruff and mypy on the Python code, shellcheck on the scripts
	environment/lint

image:         ## build the Docker image; BASE=IMAGE puts your own with pycaffe underneath
	docker build $(if $(BASE),--build-arg BASE=$(BASE)) $(if $(MIRROR),--build-arg MIRROR=$(MIRROR)) --build-arg REVISION=$(shell git rev-parse HEAD 2>/dev/null) -t $(IMAGE) .

clean:         ## remove the figures; prepared data, weights and trained runs stay
	rm -rf figures

distclean:     ## remove all that was made here: data, fetched weights, trained runs, figures
	rm -rf figures data runs
