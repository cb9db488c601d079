# What can be done here; `make` alone lists it. The work itself is in hack/, which is bash, and in Go; the flags of all
# builds are in hack/lib.sh.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# Files to apply, e.g. SAMPLE="config/samples/mockup.yaml config/samples/observability.yaml".
SAMPLE  ?= config/samples/mockup.yaml

files := $(addprefix -f ,$(SAMPLE))
# The programs that observe a stack are built only for a sample that asks for them.
observability = $(if $(shell grep -s '^kind: ObservabilityAddon' $(SAMPLE)),--observability)
ready := variables=$$(hack/setup --env) && eval "$$variables"

##@ Use
up: setup build ## Bring up the sample stack: everything from a fresh machine to its URLs
	hack/images --load $(observability)
	$(ready) && bin/mockup up $(files) --image-map bin/images.yaml

down: ## Stop the stack and the local control plane; data stays
	$(ready) && bin/mockup down

purge: ## Remove all of it, data included; asks first, unless YES=1
	$(ready) && bin/mockup down --purge $(if $(YES),--yes)

render: build ## Print the manifests of the sample stack
	bin/mockup render $(files)

kubectl: setup ## Show how to reach the local control plane with kubectl
	@echo 'export PATH="$(CURDIR)/bin:$$PATH" KUBECONFIG="$$(bin/mockup kubeconfig)"'

##@ Prepare and build
setup: ## Make the machine ready: Podman, its helpers, kubectl
	hack/setup

images: ## Build or pull the container images and load them into Podman
	hack/images --load $(observability)

build: ## Build bin/mockup and bin/manager
	hack/build $(VERSION)

generate: ## Write deepcopy functions, CRDs, golden files and reference pages anew
	hack/generate

golden: ## Write the golden manifests anew, to be reviewed as a diff
	hack/generate golden

profile: ## Measure anew where a backup takes its time, for the compiler
	go test -C backup -run '^$$' -bench BenchmarkBackup -benchtime 15x -cpuprofile default.pgo -o $(CURDIR)/bin/engine.test ./engine

fmt: ## Format Go sources
	gofmt -w $$(git ls-files --cached --others --exclude-standard '*.go')

##@ Check
test: ## Run all tests that CI runs
	hack/test

unit: ## Run the tests that need no Podman
	hack/test unit

e2e: ## Run the tests on real Podman, in a sandbox
	hack/test e2e

rootless: ## Run the sample on a rootless Podman, in a sandbox
	hack/test rootless

browser: ## Use the web page in headless Chromium
	hack/test browser

bench: ## Measure against plain kube play, and fail beyond the bounds
	hack/test bench

soak: ## Run what takes long: many repetitions, big data
	hack/test soak

lint: ## Check layers, comments and common mistakes
	hack/lint

verify: ## Fail if generated files or module files are not up to date
	hack/verify

clean: ## Remove what was built here; the cache in ~/.cache/mockup stays
	rm -rf bin

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: up down purge render kubectl setup images build generate golden profile fmt test unit e2e rootless browser bench soak lint verify clean help
