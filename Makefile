# make demo | test | lint | bench     each makes what it needs first: .venv from constraints.txt, and the packages Qt and OpenGL need
# make test-all | format | constraints
# PYTHON=python3.12                   the interpreter that .venv is made with
# ARGS="-k conditioning -x"           more words for pytest, for the benchmarks or for the demo

PYTHON ?=
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
ROOMS := napari_film training sample_data

# What a Debian without a desktop lacks for Qt's xcb platform, for OpenGL in software, for text, and for a display in memory.
SYSTEM_PACKAGES ?= xvfb xauth xdotool libegl1 libgl1 libopengl0 libglx-mesa0 libgl1-mesa-dri libglib2.0-0 libfontconfig1 \
	libxkbcommon-x11-0 libdbus-1-3 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 \
	libxcb-shape0 libxcb-xinerama0 libxcb-xfixes0 libxcb-cursor0

# Where there is no display, Linux draws into one in memory (Xvfb); the tests always do.
ifeq ($(shell uname),Linux)
MEMORY_DISPLAY := xvfb-run -a -s "-screen 0 1400x900x24"
ifeq ($(DISPLAY)$(WAYLAND_DISPLAY),)
DISPLAY_IF_NONE := $(MEMORY_DISPLAY)
DEMO_OPTIONS := --headless --output demo
endif
endif

# Two processes, each with a display in memory of its own (pytest-xvfb): windows would take the focus from each other.
SIDE_BY_SIDE ?= -n 2 --dist loadfile

# Threads of torch that wait for each other sleep: spinning, they would take the cores from the window under test.
test test-all: export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test test-all lint format bench constraints system-packages

demo: $(VENV)/.made system-packages
	@$(DISPLAY_IF_NONE) $(BIN)/napari-film demo $(DEMO_OPTIONS) $(ARGS)

test: $(VENV)/.made system-packages
	$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) $(ARGS)

test-all: $(VENV)/.made system-packages
	$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) -m "not gpu" $(ARGS)

lint: $(VENV)/.made
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check
	$(BIN)/mypy $(ROOMS)

format: $(VENV)/.made
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.made system-packages
	@$(DISPLAY_IF_NONE) $(BIN)/python -m benchmarks $(ARGS)

# The stamp is younger than both files, or the installation is brought up to date.
$(VENV)/.made: pyproject.toml constraints.txt
	@.ci/venv $(VENV) $(PYTHON)
	@touch $@

system-packages:
	@.ci/system-packages $(SYSTEM_PACKAGES)

# Write the versions of the present environment down: run the tests first. torch's +cpu, and what its CUDA builds bring, stay out.
constraints: $(VENV)/.made
	@{ echo '# What make and continuous integration install, to the version. Written by `make constraints`, after the tests have passed.'; \
	$(BIN)/python -m pip --disable-pip-version-check freeze --all 2>/dev/null | sed -E 's/\+[a-z0-9.]+$$//' \
	| grep -vE '^-e|^#|^napari[-_]film|^pip==| @ |^nvidia-|^cuda-|^triton'; } > $@.new && mv $@.new constraints.txt && touch $(VENV)/.made
