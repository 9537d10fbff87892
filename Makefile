# Tools are pinned here and fetched through the Go module proxy on first use;
# none of them enters go.mod.
GOLANGCI := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
DEADCODE := go run golang.org/x/tools/cmd/deadcode@v0.52.0
GOFUMPT  := go run mvdan.cc/gofumpt@v0.12.0
VULN     := go run golang.org/x/vuln/cmd/govulncheck@v1.3.0
FUZZTIME ?= 10s

SOAK     ?= 10m
QUICK    ?=

.PHONY: all demo build build-pkcs11 test race lint fuzz e2e soak bench fmt golden pictures vuln explore mutants
all: lint test build

demo: build # one device's whole life, on this machine; Ctrl-C ends it
	./bin/steward demo

build:
	CGO_ENABLED=0 go build -trimpath -o bin/steward ./cmd/steward

build-pkcs11: # the same with PKCS#11, which loads modules and so is not static
	CGO_ENABLED=1 go build -trimpath -o bin/steward-pkcs11 ./cmd/steward

# What is released: static binaries, manual pages, the unit, and their hashes. The same
# source makes the same bytes: no path, no time but that of the commit, no build id.
DIST_VERSION ?= $(shell git describe --tags --always --dirty)
DIST_TIME    ?= $(shell git log -1 --format=%ct)
.PHONY: dist
dist:
	rm -rf dist && mkdir -p dist
	@set -e; for arch in amd64 arm64; do \
		name=steward-$(DIST_VERSION)-linux-$$arch; mkdir -p dist/$$name/man; \
		CGO_ENABLED=0 GOOS=linux GOARCH=$$arch go build -trimpath -buildvcs=true \
			-ldflags "-s -w -buildid= -X steward/cmd/internal/app.Version=$(DIST_VERSION)" -o dist/$$name/steward ./cmd/steward; \
		cp deploy/steward.service README.md LICENSE SECURITY.md dist/$$name/; \
	done; \
	CGO_ENABLED=0 go run -trimpath -ldflags "-X steward/cmd/internal/app.Version=$(DIST_VERSION)" ./cmd/steward man --dir dist/man; \
	for d in dist/steward-*; do cp dist/man/*.1 $$d/man/; \
		tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@$(DIST_TIME) -C dist -cf - $$(basename $$d) | \
			gzip -9n > $$d.tar.gz; rm -r $$d; \
	done; rm -r dist/man
	cd dist && sha256sum *.tar.gz > SHA256SUMS && cat SHA256SUMS

test: # of a slow machine's packages, the slowest take longer than Go's ten minutes
	go test -timeout 30m ./...

race:
	go test -race -timeout 45m ./...

e2e: build # the real binary, foreign clients and the browser; needs what .ci/run installs
	STEWARD_E2E=1 go test -count=1 -timeout 50m ./cmd/internal/e2e/...
	@ls -d "$${XDG_CACHE_HOME:-$$HOME/.cache}"/steward/leshan-* >/dev/null 2>&1 || \
		echo "NOT TESTED against Eclipse Leshan: its libraries could not be fetched"
	@ls "$${XDG_CACHE_HOME:-$$HOME/.cache}"/steward/axe-core-* >/dev/null 2>&1 || \
		echo "NOT TESTED for accessibility: axe-core could not be fetched"

soak: # the whole server, round after round, with the same memory in the last as in the first
	STEWARD_SOAK=$(SOAK) go test -count=1 -timeout 24h -v -run '^TestSoak$$' ./cmd/internal/bench

bench: build # every figure of BENCHMARKS.md, as Markdown: 20 minutes of a quiet machine; QUICK=1: 4
	@go -C cmd/internal/bench/testdata/gocoap build -o $(CURDIR)/bin/gocoap .
	@./bin/steward bench table --gocoap bin/gocoap $(if $(QUICK),--quick)

# EXPLORE=TestExplore/two_devices_complete, is two devices with two losses and a crash alone: two minutes, 6 GB.
EXPLORE  ?= ^(TestExplore|TestReduction)$$
explore: # the hand-over in every order of events, in full: many minutes
	STEWARD_EXPLORE=1 go test -count=1 -timeout 60m -v -run '$(EXPLORE)' ./transfer/explore

# MUTANTS='^batch' is those alone.
MUTANTS  ?= 1
mutants: # every row of a table and every check taken out, one at a time: each must be found
	STEWARD_MUTANTS='$(MUTANTS)' go test -count=1 -timeout 30m -v -run '^TestMutants$$' ./transfer/explore
	STEWARD_MUTANTS=1 go test -count=1 -parallel 6 -timeout 10m -v -run '^TestBrokenDevices$$' ./cmd/internal/devcheck

lint:
	@test -z "$$($(GOFUMPT) -l .)" || { $(GOFUMPT) -d .; exit 1; }
	@test -z "$$(go fix -diff ./... 2>&1)" || { go fix -diff ./...; exit 1; }
	go vet ./...
	$(GOLANGCI) run
	@test -z "$$($(DEADCODE) -test ./...)" || { $(DEADCODE) -test ./...; exit 1; }

fuzz: # go test -fuzz takes one target at a time
	@set -e; for p in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		for f in $$(go test $$p -list '^Fuzz' | grep '^Fuzz'); do \
			run="go test $$p -run ^$$ -fuzz ^$$f$$ -fuzztime $(FUZZTIME)"; \
			$$run || $$run; done; done # a crash is kept and repeats; a busy machine's missed deadline does not

fmt:
	$(GOFUMPT) -w .
	go fix ./...

pictures: build # of README.md and docs, by the browser; look at them before you commit
	STEWARD_E2E=1 STEWARD_PICTURES=$(CURDIR)/docs/pictures go test -count=1 -run '^TestPictures$$' ./cmd/internal/e2e

golden: # rewrites the golden files; read the diff
	go test ./transfer ./est ./suit/rollout ./cmd/internal/e2e/... ./cmd/internal/cli ./cmd/internal/config ./cmd/internal/arch -update

vuln: # needs vuln.go.dev, or DB=file:///path/to/vulndb
	$(VULN) $(if $(DB),-db $(DB)) ./...
