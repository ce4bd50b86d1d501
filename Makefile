# Two words for a newcomer on Debian 12: `make run` and `make test`. The rest is CMake's (CMakePresets.json).
SHELL = /bin/bash
.ONESHELL:
.SHELLFLAGS = -euo pipefail -c
.DEFAULT_GOAL = help
.PHONY: help run test test-everywhere tsan build install bench format tidy clean

JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
DESTDIR ?=
# With CI set, a warning fails the tests' builds.
TEST_OPTIONS = $(if $(CI),-DCOVE_WERROR=ON)

cove = build/release/cove
demo_image = build/demo/python-demo.tar

say = printf '\n==> %s\n'

help:  ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## */  make \1	/p' $(MAKEFILE_LIST) | expand -t 18

run:  ## installs what is missing, builds, makes a demo image, runs Python from it in a sandbox
	@$(say) "Packages (only what is missing)"
	packaging/install-packages.sh build run
	$(say) "Building $(cove)"
	mkdir -p build
	cmake --preset release >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	cmake --build --preset release -j $(JOBS) --target runtime/all images/all cli/all
	$(say) "Demo image: Python with numpy and pandas"
	demo_image/build.sh $(demo_image)
	$(say) "Loading it into the image store"
	$(cove) image load --name python-demo $(demo_image)
	$(say) "Running Python in a sandbox: $(cove) run --json python-demo -- python3 -c ..."
	$(cove) run --json python-demo -- python3 -c "$$(cat demo_image/program.py)" | tee build/demo/result.json
	python3 demo_image/show_result.py build/demo/result.json
	echo "Now try: $(cove) run python-demo -- python3 -c 'print(6 * 7)'"

test:  ## installs what is missing, builds, runs all tests: unit, lint, consumer, integration, escape, sanitized, vm
	@$(say) "Packages (only what is missing)"
	packaging/install-packages.sh build test
	mkdir -p build
	for preset in release asan; do  # the tests are compiled for the first, and linked to the libraries of each
	  $(say) "Building ($$preset)"
	  trees=(-DCOVE_SANITIZED_BUILD="$(CURDIR)/build/asan" -DCOVE_TEST_OBJECTS=)
	  if [ $$preset = asan ]; then trees=(-DCOVE_TEST_OBJECTS="$(CURDIR)/build/release"); fi
	  cmake --preset $$preset $(TEST_OPTIONS) "$${trees[@]}" >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	  cmake --build --preset $$preset -j $(JOBS)
	done
	$(say) "Tests"
	ctest --preset release --no-tests=error

test-everywhere:  ## runs the tests in containers, as users, in virtual machines; writes the table of docs/places.md (as root)
	@packaging/install-packages.sh build test everywhere programs
	cmake --preset release
	cmake --build --preset release -j $(JOBS)
	tests/everywhere/everywhere.py build/release --document docs/places.md

tsan:  ## builds the tests with ThreadSanitizer and runs them: unit, integration, images; a quarter of an hour
	@packaging/install-packages.sh build test
	cmake --preset release
	cmake --build --preset release -j $(JOBS) --target cove_cli cove-launcher cove-image
	cmake --preset tsan $(TEST_OPTIONS) -DCOVE_PLAIN_BUILD="$(CURDIR)/build/release"
	cmake --build --preset tsan -j $(JOBS) --target unit_tests integration_tests image_tests
	ctest --preset tsan --no-tests=error -R '^(unit|integration|images)$$'

build:  ## builds all of it into build/release
	@packaging/install-packages.sh build
	cmake --preset release
	cmake --build --preset release -j $(JOBS)

install:  ## installs to PREFIX (/usr/local), below DESTDIR
	@packaging/install-packages.sh build
	cmake --preset release -DCMAKE_INSTALL_PREFIX="$(PREFIX)"
	cmake --build --preset release -j $(JOBS) --target runtime/all images/all cli/all
	DESTDIR="$(DESTDIR)" cmake --install build/release

bench: build  ## measures, with peers beside us where they are installed
	@bench/run

format:  ## has clang-format rewrite the C++ files
	@tests/lint/format.sh . --fix

tidy: build  ## runs clang-tidy and cppcheck over what is built; slow
	@packaging/install-packages.sh test
	run-clang-tidy -quiet -p build/release -j $(JOBS) -extra-arg=-Wno-unknown-warning-option \
	  '^$(CURDIR)/(runtime|images|profiles|cli|server)/.*\.cc$$'
	tests/lint/cppcheck.sh .

clean:  ## removes build/
	@rm -rf build
