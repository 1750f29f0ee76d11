# Lithe: the whole build.   make | make run | make test | make deps | make bench | make check-all | make install
CC      ?= gcc
PREFIX  ?= /usr/local
B       ?= build
VERSION := 0
JOBS    ?= $(shell nproc 2>/dev/null || echo 1)
LIBS    := jansson libpcre2-8 libutf8proc libzstd zlib libxxhash
PACKAGES := gcc make pkg-config libc6-dev libjansson-dev libpcre2-dev libutf8proc-dev libzstd-dev zlib1g-dev libxxhash-dev bible-kjv bible-kjv-text

# Images are optional: what is absent is left out, and `lithe doctor` says so.
PNG     := $(shell pkg-config --exists libpng 2>/dev/null && echo libpng)
JPEG    := $(shell pkg-config --exists libjpeg 2>/dev/null && echo libjpeg)
IMAGES  := $(PNG) $(JPEG)
PACKAGES += libpng-dev libjpeg-dev
# So is the server.
HTTP    := $(shell pkg-config --exists libmicrohttpd 2>/dev/null && echo libmicrohttpd)
OPTIONAL := $(IMAGES) $(HTTP)
PACKAGES += libmicrohttpd-dev

# So is MPI, for several machines: a shared object of its own, which is loaded under mpirun only.
MPI     := $(shell pkg-config --exists mpi-c 2>/dev/null && echo mpi-c)
PACKAGES += libopenmpi-dev openmpi-bin

WARN    := -Wall -Wextra -Wshadow -Wconversion
CFLAGS  ?= -O2 -g
# What makes a fault of memory harder to exploit.  Kernels read no files, and are left as they are.
HARDENING ?= -D_FORTIFY_SOURCE=2 -fstack-protector-strong
LDHARDENING := -Wl,-z,relro,-z,now,-z,noexecstack
FLAGS   := -std=c11 -D_GNU_SOURCE -Iinclude -Isrc -fPIC -pthread -ffp-contract=off -fno-math-errno -fno-trapping-math $(WARN)

# Rooms by wildcard; kernels by level: vector/ is compiled once for each width.
ROOMS   := base text graph ops arch files model grow data infer train eval report serve driver
LEFT_OUT := src/train/reduce_mpi.c $(if $(PNG),,src/data/image_png.c) $(if $(JPEG),,src/data/image_jpeg.c) src/serve/$(if $(HTTP),http_absent.c,http.c)
SRC     := $(filter-out $(LEFT_OUT),$(wildcard $(ROOMS:%=src/%/*.c))) $(wildcard src/kernels/*.c src/kernels/ref/*.c)
OBJ     := $(SRC:src/%.c=$(B)/%.o) $(B)/held_tasks.o
ifeq ($(shell uname -m),x86_64)
VECTOR  := $(wildcard src/kernels/vector/*.c)
AMX     := $(wildcard src/kernels/amx/*.c)
OBJ     += $(VECTOR:src/%.c=$(B)/avx2/%.o) $(VECTOR:src/%.c=$(B)/avx512/%.o) $(AMX:src/%.c=$(B)/%.o)
OBJ     += $(B)/vnni/kernels/vector/blocks_product.o
endif
# The parts of the page at /, which become one file, and that an array of bytes.
PAGE    := $(wildcard src/serve/page/*)
OBJ     += $(B)/serve/page_bytes.o
AVX2    := -O3 -mavx2 -mfma -mf16c -DLEVEL_AVX2
AVX512  := -O3 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512 -DLEVEL_AVX512

CLI     := $(patsubst cli/%.c,$(B)/cli/%.o,$(wildcard cli/*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
TESTS   := $(patsubst tests/%.c,$(B)/tests.d/%.o,$(wildcard tests/*.c)) $(FUZZERS:%=$(B)/tests.d/fuzz/%.o)
BENCHES := $(patsubst bench/%.c,$(B)/bench-%,$(wildcard bench/*.c))
# The double build: ref kernels only, checks every gradient to 1e-6.
DOUBLE_SRC := $(wildcard src/base/*.c src/graph/*.c src/ops/*.c src/arch/*.c) $(wildcard src/kernels/*.c src/kernels/ref/*.c)
DOUBLE  := $(DOUBLE_SRC:src/%.c=$(B)/double/%.o) $(B)/double/tests/gradients.o $(patsubst %,$(B)/double/tests/%.o,small graph_plans graph_random main)

$(B)/data/image.o $(B)/model/doctor.o: FLAGS += $(if $(PNG),-DLITHE_PNG) $(if $(JPEG),-DLITHE_JPEG) $(if $(HTTP),-DLITHE_HTTP)

LDLIBS   = $(shell pkg-config --libs $(LIBS) $(OPTIONAL)) -lm -pthread
LIBFLAGS = $(shell pkg-config --cflags $(LIBS) $(OPTIONAL))

all: $(B)/lithe $(B)/lithe.pc $(if $(MPI),$(B)/liblithe_mpi.so)

$(B)/liblithe.so.$(VERSION): $(OBJ) src/lithe.map
	@echo "  ld $@"
	@$(CC) $(CFLAGS) $(LDHARDENING) -shared -Wl,-soname,liblithe.so.$(VERSION) -Wl,--version-script=src/lithe.map -o $@ $(OBJ) $(LDLIBS)
	@ln -sf liblithe.so.$(VERSION) $(B)/liblithe.so

$(B)/lithe: $(CLI) $(B)/liblithe.so.$(VERSION)
	@echo "  ld $@"
	@$(CC) $(CFLAGS) -pie $(LDHARDENING) -o $@ $(CLI) $(B)/liblithe.so.$(VERSION) -Wl,-rpath,'$$ORIGIN:$$ORIGIN/../lib' -lm -pthread

# The library holds the files of tasks/ as texts.
$(B)/held_tasks.c: $(wildcard tasks/*.json)
	@mkdir -p $(B)
	@{ printf '#include "eval/task_file.h"\nconst held_task held_tasks[] = {\n'; \
	   for f in $(sort $^); do n=$${f##*/}; printf '{ "%s",\n' "$${n%.json}"; sed 's/[\\"]/\\&/g; s/^/"/; s/$$/\\n"/' $$f; echo '},'; done; printf '{ 0 } };\n'; } > $@
$(B)/held_tasks.o: $(B)/held_tasks.c | require-libraries ; $(COMPILE) -c $< -o $@

$(B)/liblithe_mpi.so: src/train/reduce_mpi.c src/train/transport.h
	@mkdir -p $(@D) && echo "  ld $@"
	@$(CC) $(FLAGS) $(CFLAGS) $(shell pkg-config --cflags mpi-c) -shared -o $@ $< $(shell pkg-config --libs mpi-c)

# Tests see the rooms' own headers, so they link the objects.
$(B)/tests: $(TESTS) $(OBJ) | $(B)/lithe-faults
	@echo "  ld $@"
	@$(CC) $(CFLAGS) -o $@ $(TESTS) $(OBJ) $(LDLIBS)
# The program in whose library any allocation or call of the system can be made to fail (tests/faults/inject.c).
$(B)/liblithe-faults.so: $(B)/tests.d/faults/inject.o $(OBJ) tests/faults/faults.map
	@$(CC) $(CFLAGS) -shared -Wl,-soname,liblithe-faults.so -Wl,--version-script=tests/faults/faults.map -o $@ $(filter %.o,$^) $(LDLIBS)
$(B)/lithe-faults: $(CLI) $(B)/liblithe-faults.so
	@echo "  ld $@"
	@$(CC) $(CFLAGS) -o $@ $(CLI) $(B)/liblithe-faults.so -Wl,-rpath,'$$ORIGIN' -lm -pthread
$(B)/tests-double: $(DOUBLE)
	@echo "  ld $@"
	@$(CC) $(CFLAGS) -o $@ $(DOUBLE) $(LDLIBS)
$(B)/bench-%: bench/%.c $(OBJ)
	@echo "  cc $<"
	@$(CC) $(FLAGS) $(CFLAGS) $(LIBFLAGS) -DCOMMIT=\"$(shell git rev-parse --short HEAD 2>/dev/null || echo -)\" -Ibench -o $@ $< $(OBJ) $(LDLIBS)

COMPILE = @mkdir -p $(@D) && echo "  cc $<" && $(CC) $(FLAGS) $(if $(findstring /kernels/,$@),,$(HARDENING)) $(CFLAGS) $(LIBFLAGS) -MMD -MP
$(B)/avx2/%.o:   src/%.c ; $(COMPILE) $(AVX2) -c $< -o $@
$(B)/avx512/%.o: src/%.c ; $(COMPILE) $(AVX512) -c $< -o $@
$(B)/vnni/%.o:   src/%.c ; $(COMPILE) $(AVX512) -mavx512vnni -DVNNI -c $< -o $@
$(B)/kernels/amx/%.o: src/kernels/amx/%.c ; $(COMPILE) $(AVX512) -mavx512bf16 -mamx-tile -mamx-bf16 -mamx-int8 -c $< -o $@
$(B)/double/tests/%.o: tests/%.c ; $(COMPILE) -DLITHE_DOUBLE -c $< -o $@
$(B)/double/%.o: src/%.c ; $(COMPILE) -DLITHE_DOUBLE -c $< -o $@
$(B)/serve/page_bytes.c: $(PAGE) Makefile
	@mkdir -p $(@D) && echo "  join $@"
	@sed $(foreach part,$(notdir $(filter-out %.html,$(PAGE))),-e '/^@$(part)@$$/{' -e 'r src/serve/page/$(part)' -e 'd' -e '}') src/serve/page/page.html > $(B)/serve/page.html
	@{ echo '#include "serve/page_bytes.h"'; echo 'const unsigned char page_html[] = {'; od -An -v -tu1 $(B)/serve/page.html | sed 's/[0-9][0-9]*/&,/g'; \
	   echo '};'; echo 'const size_t page_bytes = sizeof page_html;'; } > $@
$(B)/serve/page_bytes.o: $(B)/serve/page_bytes.c ; $(COMPILE) -c $< -o $@
$(B)/cli/%.o:    cli/%.c | require-libraries ; $(COMPILE) -Icli -c $< -o $@
$(B)/tests.d/fuzz_seeds.o: FLAGS += -DFUZZERS='$(foreach name,$(FUZZERS),X($(name)))'
$(B)/tests.d/fuzz_seeds.o: $(wildcard tests/fuzz/*.c)
$(B)/tests.d/fuzz/%.o: tests/fuzz/%.c | require-libraries ; $(COMPILE) -Itests -DLLVMFuzzerTestOneInput=fuzz_$* -c $< -o $@
$(B)/tests.d/faults/inject.o: FLAGS += -fno-builtin
$(B)/tests.d/%.o: tests/%.c | require-libraries ; $(COMPILE) -Itests -c $< -o $@
$(B)/%.o:        src/%.c | require-libraries ; $(COMPILE) -c $< -o $@
-include $(shell find $(B) -name '*.d' -type f 2>/dev/null)

require-libraries:
	@pkg-config --exists $(LIBS) 2>/dev/null || { echo "lithe: libraries are missing. Install them with:"; echo "  apt-get install $(PACKAGES)"; exit 1; }

deps:
	@have() { pkg-config --exists "$$@" 2>/dev/null && [ -e /usr/share/doc/bible-kjv-text ] && command -v $(CC) >/dev/null; }; \
	if have $(LIBS) libpng libjpeg libmicrohttpd mpi-c; then :; \
	elif [ "$$(id -u)" = 0 ] && apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy $(PACKAGES); then :; \
	elif have $(LIBS); then :; \
	else echo "lithe: run this as root:  apt-get install $(PACKAGES)"; exit 1; fi

$(B)/lithe.pc: Makefile
	@mkdir -p $(B)
	@printf 'prefix=%s\nlibdir=$${prefix}/lib\nincludedir=$${prefix}/include\n\nName: lithe\nDescription: trains, grows and runs small language models\nVersion: 0.1.0\nLibs: -L$${libdir} -llithe\nCflags: -I$${includedir}\n' '$(PREFIX)' > $@

test: deps
	@$(MAKE) --no-print-directory -j$(JOBS) all $(B)/tests $(B)/tests-double
	@$(B)/tests '$(FILTER)'

# The main job on real text: train, grow, train on, compare, write.
run: deps
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@sh tools/run.sh $(B)/lithe

# Kernels at each level, and the time of a training step; bench/README.md has the comparison with others.
bench: $(BENCHES)
	$(B)/bench-gemm
	$(B)/bench-kernels
	$(B)/bench-blocks
	$(B)/bench-rwkv
	$(B)/bench-step

docs: all
	$(B)/lithe help --markdown > docs/commands.md

# Files and lines of each room, which rooms its objects lean on, the widest functions.
house: all
	@sh tools/house.sh

install: all
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin lib/pkgconfig include share/man/man1 share/bash-completion/completions share/zsh/site-functions share/fish/vendor_completions.d)
	install -m 755 $(B)/lithe $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(B)/liblithe.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib
	ln -sf liblithe.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/liblithe.so
	$(if $(MPI),install -m 755 $(B)/liblithe_mpi.so $(DESTDIR)$(PREFIX)/lib)
	sed 's|^prefix=.*|prefix=$(PREFIX)|' $(B)/lithe.pc > $(DESTDIR)$(PREFIX)/lib/pkgconfig/lithe.pc
	install -m 644 include/lithe.h include/lithe_tools.h include/lithe_serve.h include/lithe_runs.h $(DESTDIR)$(PREFIX)/include
	$(B)/lithe help --man > $(DESTDIR)$(PREFIX)/share/man/man1/lithe.1
	for verb in $$($(B)/lithe help | sed -n 's/^  \([a-z-]*\)  .*/\1/p'); do $(B)/lithe help --man $$verb > $(DESTDIR)$(PREFIX)/share/man/man1/lithe-$$verb.1; done
	$(B)/lithe completions bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/lithe
	$(B)/lithe completions zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_lithe
	$(B)/lithe completions fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/lithe.fish

clean: ; rm -rf $(B)

-include tests/check.mk

.PHONY: all deps test install clean require-libraries run bench docs house check-all
