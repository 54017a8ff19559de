# Two commands: `make demo` and `make test`. Python 3.11 or newer is found as python3.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: installers readme demo desk live screens demo-s3 test coverage lint types check campaign bench ci fleet rig-virtual rig image image-next image-twice image-lock image-test image-campaign arm64 pi lock diagram golden clean

demo: $(STAMP)
	$(BIN)/bwv demo $(DEMO)

# A camera to press, in a browser on this machine; make live LIVE="--clip FILE --rate 2".
live: $(STAMP)
	$(BIN)/bwv-sim live --web $(LIVE)

# The evidence desk with something to look at, in a browser on this machine; make desk DESK="--port 0".
desk: $(STAMP)
	$(BIN)/bwv-sim desk $(DESK)

# The pictures of the pages in docs/screens, as the browser tests take them.
screens: $(STAMP)
	sh scripts/install-tools
	BWV_TOOLS=$(CURDIR)/.cache/tools BWV_SCREENS=docs/screens $(BIN)/pytest -q tests/browser

# The demo over a real S3 server (SeaweedFS) on loopback.
demo-s3: $(STAMP)
	$(BIN)/bwv demo --s3 --out demo-s3 $(DEMO)

# The wheel is built and installed: what is tested is what is shipped.
$(STAMP): pyproject.toml requirements.lock $(shell find bwv_device hal sim -name '*.py' -o -name '*.jinja' -o -name '*.toml' -o -name '*.mjs' -o -name 'START-HERE.html' -o -path '*/desk/page/desk.*' -o -path '*/static/*' -type f) requirements-models.lock
	sh scripts/install-venv $(PYTHON) $(VENV)
	touch $@

test: $(STAMP) check
	sh scripts/install-tools
	BWV_TOOLS=$(CURDIR)/.cache/tools sh scripts/run-tests

# The same, slower, with what was reached.
coverage: $(STAMP)
	rm -f .coverage .coverage.*
	BWV_TOOLS=$(CURDIR)/.cache/tools sh scripts/run-tests --cov --cov-report=
	$(BIN)/coverage report

check: lint types

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(STAMP)
	$(BIN)/mypy
	cd image && ../$(BIN)/mypy --strict build.py lock.py

# What a change is held to beyond `make test`: sampled campaigns, a few minutes.
ci: $(STAMP) installers readme rig-virtual
	sh scripts/install-tools campaign
	sh scripts/install-cosmic-ray
	BWV_TOOLS=$(CURDIR)/.cache/tools $(BIN)/pytest -q -n 2 -m ci tests/e2e tests/simulation
	BWV_TOOLS=$(CURDIR)/.cache/tools BWV_PRESSES=40 $(BIN)/pytest -q -s tests/browser -k fifth_of
	BWV_TOOLS=$(CURDIR)/.cache/tools $(BIN)/python -m benchmarks.campaign --sampled

# The README's blocks, in order, in a fresh home.
readme: $(STAMP)
	sh scripts/install-tools
	$(BIN)/pytest -q -m readme tests/e2e/test_readme.py

# The lock with the oldest and the newest pip, with uv, and on each Python that is found.
installers:
	sh scripts/check-installers .cache/installers

# Whole agents at a real mosquitto, with TLS; make fleet FLEET="--devices 1000 --restart-at 30".
FLEET ?= --devices 100 --seconds 60
fleet: $(STAMP)
	sh scripts/install-tools
	$(BIN)/bwv-sim fleet $(FLEET)

# Real picamera2, libcamera, PortAudio and PyAudio without a Pi: root needed, two minutes.
# What fails is measured a second time: a shared machine may have stood still meanwhile.
rig-virtual: $(STAMP)
	$(BIN)/pytest -q -s -m virtual_rig tests/rig || $(BIN)/pytest -q -s -m virtual_rig --last-failed tests/rig

# The whole agent in a virtual machine, on kernel pins, killed at random; a quarter of an hour, and
# six minutes for the kernel the first time. Results go to docs/rig.md.
CYCLES ?= 20
rig: $(STAMP)
	$(BIN)/python tests/rig/uml/campaign.py --cycles $(CYCLES) --report docs/rig.md

# Wheels for a Pi's processor, and the package at work on an emulated one.
arm64: $(STAMP)
	sh scripts/check-arm64

# A card that is a camera (docs/image.md): two minutes. MIRROR names where Debian's packages come from.
IMAGE := .cache/image/camera.img
image: $(STAMP)
	sh scripts/apt-install dosfstools e2fsprogs fdisk kmod mtools squashfs-tools xz-utils
	$(BIN)/python image/build.py --out $(IMAGE) $(if $(MIRROR),--mirror $(MIRROR))

# The release behind it, as an update brings it.
image-next: image
	$(BIN)/python image/build.py --out .cache/image/next.img --release 0.2.0 $(if $(MIRROR),--mirror $(MIRROR))

image-twice: image
	mv $(IMAGE) $(IMAGE).first
	$(BIN)/python image/build.py --out $(IMAGE) $(if $(MIRROR),--mirror $(MIRROR))
	cmp $(IMAGE) $(IMAGE).first
	rm $(IMAGE).first

image-lock:
	python3 image/lock.py

# Boots it on emulated machines, and takes it to the next release. Root, because a store is shared with
# the machine.
image-test: image-next
	sh scripts/apt-install device-tree-compiler qemu-system-arm rauc
	$(BIN)/pytest -q -s -m image -k "not takes_no_pictures" tests/image

# The same with 50 starts of cards that a power cut left, and a release that takes no pictures.
image-campaign: image-next
	sh scripts/apt-install device-tree-compiler qemu-system-arm rauc
	BWV_BOOTS=50 $(BIN)/pytest -q -s -m image tests/image/test_update.py

# On a Raspberry Pi: packages, user, service (docs/pi.md).
pi:
	sh scripts/install-pi

# Everything, for hours; goes on where it was interrupted. make campaign SCALE=0.1 for a part.
SCALE ?= 1
campaign: $(STAMP)
	sh scripts/install-tools campaign
	sh scripts/install-cosmic-ray
	$(BIN)/python -m benchmarks.campaign --scale $(SCALE)

bench: $(STAMP)
	sh scripts/install-tools bench
	BWV_TOOLS=$(CURDIR)/.cache/tools $(BIN)/python -m benchmarks

# What is installed: the development environment, a Pi's, and picamera2 for the virtual rig.
COMPILE := uv pip compile --universal --generate-hashes --no-header --no-annotate --no-emit-index-url
lock:
	$(COMPILE) --python-version 3.11 --extra sim --extra token --group dev --output-file requirements.lock pyproject.toml
	$(COMPILE) --python-version 3.11 --extra rpi --extra s3 --extra check --extra panel --group build \
	  --no-emit-package pyaudio --output-file requirements-rig.lock pyproject.toml
	$(COMPILE) --python-version 3.13 --no-deps --output-file tests/rig/virtual/requirements.lock \
	  tests/rig/virtual/requirements.in
	$(COMPILE) --python-version 3.13 --no-deps --output-file \
	  tests/rig/virtual/requirements-oldest.lock tests/rig/virtual/requirements-oldest.in
	$(COMPILE) --python-version 3.11 --no-emit-package yattag \
	  --output-file benchmarks/mutants/requirements.lock \
	  benchmarks/mutants/requirements.in

diagram: $(STAMP)
	$(BIN)/python -m sim.docs.state_diagram docs/states.svg
	$(BIN)/python -m sim.docs.wiring_diagram docs/wiring.svg

# New trace digests of the golden seeds: behaviour has changed, and the commit says why.
golden: $(STAMP)
	PYTHONPATH=tests/simulation $(BIN)/python tests/simulation/golden.py

clean:
	rm -rf $(VENV) build dist .cache demo-shift
