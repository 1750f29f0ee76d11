# Lithe: the whole build.   make | make run | make test | make deps | make bench | make check-all | make install | make deb
CC      ?= gcc
OBJCOPY ?= objcopy
PKG_CONFIG ?= pkg-config
B       ?= build
VERSION := 0
RELEASE := $(shell sed -n 's/.*return "\([0-9.]*\)".*/\1/p' src/base/version.c)
# Where `make install` puts what; DESTDIR before all of it is for packages.  RUN runs a program of another machine.
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
LIBDIR  ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share
MANDIR  ?= $(DATADIR)/man
JOBS    ?= $(shell nproc 2>/dev/null || echo 1)
LIBS    := jansson libpcre2-8 libutf8proc libzstd zlib libxxhash
PACKAGES := gcc make pkg-config libc6-dev libjansson-dev libpcre2-dev libutf8proc-dev libzstd-dev zlib1g-dev libxxhash-dev bible-kjv bible-kjv-text

# Images are optional: what is absent is left out, and `lithe doctor` says so.
PNG     := $(shell $(PKG_CONFIG) --exists libpng 2>/dev/null && echo libpng)
JPEG    := $(shell $(PKG_CONFIG) --exists libjpeg 2>/dev/null && echo libjpeg)
IMAGES  := $(PNG) $(JPEG)
PACKAGES += libpng-dev libjpeg-dev
# So is the server.
HTTP    := $(shell $(PKG_CONFIG) --exists libmicrohttpd 2>/dev/null && echo libmicrohttpd)
OPTIONAL := $(IMAGES) $(HTTP)
PACKAGES += libmicrohttpd-dev

# So is MPI, for several machines: a shared object of its own, which is loaded under mpirun only.
MPI     := $(shell $(PKG_CONFIG) --exists mpi-c 2>/dev/null && echo mpi-c)
PACKAGES += libopenmpi-dev openmpi-bin

WARN    := -Wall -Wextra -Wshadow -Wconversion
CFLAGS  ?= -O2 -g
# What makes a fault of memory harder to exploit.  Kernels read no files, and are left as they are.
HARDENING ?= -D_FORTIFY_SOURCE=2 -fstack-protector-strong
LDHARDENING = -Wl,-z,relro,-z,now,-z,noexecstack $(LDFLAGS)
FLAGS   := -std=c11 -D_GNU_SOURCE -Iinclude -Isrc -fPIC -pthread -ffp-contract=off -fno-math-errno -fno-trapping-math $(WARN)

# Rooms by wildcard; kernels by level: vector/ is compiled once for each width.
ROOMS   := base text graph ops arch files model grow data infer train eval report serve driver
LEFT_OUT := src/train/reduce_mpi.c $(if $(PNG),,src/data/image_png.c) $(if $(JPEG),,src/data/image_jpeg.c) src/serve/$(if $(HTTP),http_absent.c,http.c)
SRC     := $(filter-out $(LEFT_OUT),$(wildcard $(ROOMS:%=src/%/*.c))) $(wildcard src/kernels/*.c src/kernels/ref/*.c)
OBJ     := $(SRC:src/%.c=$(B)/%.o) $(B)/held_tasks.o
# What the compiler makes programs for, as in x86_64-linux-gnu.
TRIPLET := $(shell $(CC) -dumpmachine 2>/dev/null | sed 's/-pc-/-/')
ifneq ($(filter x86_64-%,$(TRIPLET)),)
VECTOR  := $(wildcard src/kernels/vector/*.c)
AMX     := $(wildcard src/kernels/amx/*.c)
OBJ     += $(VECTOR:src/%.c=$(B)/avx2/%.o) $(VECTOR:src/%.c=$(B)/avx512/%.o) $(AMX:src/%.c=$(B)/%.o)
OBJ     += $(B)/vnni/kernels/vector/blocks_product.o
else ifneq ($(filter aarch64-%,$(TRIPLET)),)
VECTOR  := $(wildcard src/kernels/vector/*.c)
OBJ     += $(VECTOR:src/%.c=$(B)/neon/%.o)
IN_TESTS := -fno-tree-vectorize                # of a largest number, at which gcc 12 ends with an internal error
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

LDLIBS   = $(shell $(PKG_CONFIG) --libs $(LIBS) $(OPTIONAL)) -lm -pthread
LIBFLAGS = $(shell $(PKG_CONFIG) --cflags $(LIBS) $(OPTIONAL))

all: $(B)/lithe $(if $(MPI),$(B)/liblithe_mpi.so)

$(B)/liblithe.so.$(VERSION): $(OBJ) src/lithe.map
	@echo "  ld $@"
	@$(CC) $(CFLAGS) $(LDHARDENING) -shared -Wl,-soname,liblithe.so.$(VERSION) -Wl,--version-script=src/lithe.map -o $@ $(OBJ) $(LDLIBS)
	@ln -sf liblithe.so.$(VERSION) $(B)/liblithe.so

# One object, in which only the public functions are global, as in the shared library.
$(B)/liblithe.a: $(OBJ)
	@echo "  ar $@"
	@new=$@.$$$$ && mkdir -p $$new && $(CC) -r -nostdlib -o $$new/lithe.o $(OBJ) && $(OBJCOPY) --wildcard --keep-global-symbol='lithe_*' $$new/lithe.o && \
	 $(AR) rcs $$new/lithe.a $$new/lithe.o && mv $$new/lithe.a $@ && rm -r $$new

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
	@$(CC) $(FLAGS) $(CFLAGS) $(shell $(PKG_CONFIG) --cflags mpi-c) $(LDHARDENING) -shared -o $@ $< $(shell $(PKG_CONFIG) --libs mpi-c) -Wl,--no-as-needed -lc

# Tests see the rooms' own headers, so they link the objects, whose allocations they can make fail (tests/failing.c).
WRAPPED  = $(addprefix -Wl$(,)--wrap=,malloc calloc realloc aligned_alloc)
$(B)/tests: $(TESTS) $(OBJ) | $(B)/lithe-faults
	@echo "  ld $@"
	@$(CC) $(CFLAGS) $(WRAPPED) -o $@ $(TESTS) $(OBJ) $(LDLIBS)
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
$(B)/neon/%.o:   src/%.c ; $(COMPILE) -O3 -c $< -o $@
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
$(B)/tests.d/%.o: tests/%.c | require-libraries ; $(COMPILE) $(IN_TESTS) -Itests -c $< -o $@
$(B)/%.o:        src/%.c | require-libraries ; $(COMPILE) -c $< -o $@
-include $(shell find $(B) -name '*.d' -type f 2>/dev/null)

require-libraries:
	@$(PKG_CONFIG) --exists $(LIBS) 2>/dev/null || { echo "lithe: libraries are missing. Install them with:"; echo "  apt-get install $(PACKAGES)"; exit 1; }

deps:
	@have() { $(PKG_CONFIG) --exists "$$@" 2>/dev/null && [ -e /usr/share/doc/bible-kjv-text ] && command -v $(CC) >/dev/null; }; \
	if have $(LIBS) libpng libjpeg libmicrohttpd mpi-c; then :; \
	elif [ "$$(id -u)" = 0 ] && apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy $(PACKAGES); then :; \
	elif have $(LIBS); then :; \
	else echo "lithe: run this as root:  apt-get install $(PACKAGES)"; exit 1; fi

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

# The installed program looks for its library where that is installed, but in the system's folders by itself.
SYSTEM_LIBS := /lib /lib64 /usr/lib /usr/lib64 $(addprefix /lib/,$(TRIPLET)) $(addprefix /usr/lib/,$(TRIPLET))
RPATH    = $(if $(filter $(SYSTEM_LIBS),$(LIBDIR)),,-Wl,-rpath,'$$ORIGIN/$(shell realpath -ms --relative-to='$(BINDIR)' '$(LIBDIR)')')
HEADERS := lithe.h lithe_tools.h lithe_eval.h lithe_serve.h lithe_runs.h
BASH_COMPLETIONS := $(DATADIR)/bash-completion/completions
ZSH_COMPLETIONS  := $(DATADIR)/zsh/site-functions
FISH_COMPLETIONS := $(DATADIR)/fish/vendor_completions.d

install: all $(B)/liblithe.a
	@install -d $(addprefix $(DESTDIR),$(BINDIR) $(LIBDIR)/pkgconfig $(INCLUDEDIR) $(MANDIR)/man1 $(BASH_COMPLETIONS) $(ZSH_COMPLETIONS) $(FISH_COMPLETIONS))
	@echo "  ld $(DESTDIR)$(BINDIR)/lithe"
	@$(CC) $(CFLAGS) -pie $(LDHARDENING) -o $(DESTDIR)$(BINDIR)/lithe $(CLI) $(B)/liblithe.so.$(VERSION) $(RPATH) -lm -pthread
	@chmod 755 $(DESTDIR)$(BINDIR)/lithe
	install -m 755 $(B)/liblithe.so.$(VERSION) $(DESTDIR)$(LIBDIR)
	$(if $(MPI),install -D -m 755 -t $(DESTDIR)$(LIBDIR)/lithe $(B)/liblithe_mpi.so)
	ln -sf liblithe.so.$(VERSION) $(DESTDIR)$(LIBDIR)/liblithe.so
	install -m 644 $(B)/liblithe.a $(DESTDIR)$(LIBDIR)
	install -m 644 $(HEADERS:%=include/%) $(DESTDIR)$(INCLUDEDIR)
	@sed -e 's|@prefix@|$(PREFIX)|; s|@libdir@|$(LIBDIR:$(PREFIX)/%=$${prefix}/%)|; s|@includedir@|$(INCLUDEDIR:$(PREFIX)/%=$${prefix}/%)|' \
	    -e 's|@version@|$(RELEASE)|; s|@libraries@|$(LDLIBS)|' tools/lithe.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/lithe.pc
	@for verb in '' $$($(RUN) $(B)/lithe help | sed -n 's/^  \([a-z-]*\)  .*/\1/p'); do \
	    $(RUN) $(B)/lithe help --man $$verb > $(DESTDIR)$(MANDIR)/man1/lithe$${verb:+-$$verb}.1 || exit 1; done
	@$(RUN) $(B)/lithe completions bash > $(DESTDIR)$(BASH_COMPLETIONS)/lithe
	@$(RUN) $(B)/lithe completions zsh > $(DESTDIR)$(ZSH_COMPLETIONS)/_lithe
	@$(RUN) $(B)/lithe completions fish > $(DESTDIR)$(FISH_COMPLETIONS)/lithe.fish
	@[ -n '$(DESTDIR)' ] || [ "$$(id -u)" != 0 ] || case '$(LIBDIR)' in /usr/*) ldconfig;; esac

uninstall:
	rm -f $(addprefix $(DESTDIR),$(BINDIR)/lithe $(addprefix $(LIBDIR)/,liblithe.so.$(VERSION) liblithe.so liblithe.a lithe/liblithe_mpi.so pkgconfig/lithe.pc) \
	    $(HEADERS:%=$(INCLUDEDIR)/%) $(MANDIR)/man1/lithe.1 $(MANDIR)/man1/lithe-*.1 \
	    $(BASH_COMPLETIONS)/lithe $(ZSH_COMPLETIONS)/_lithe $(FISH_COMPLETIONS)/lithe.fish)
	@[ ! -d $(DESTDIR)$(LIBDIR)/lithe ] || rmdir $(DESTDIR)$(LIBDIR)/lithe

# Packages for Debian, to build/deb, of what is built; lintian reads them.  They are put together in a copy of this tree,
# which gets the name of who makes them: that of Debian's tools, else git's, else that of the latest commit.
deb: all $(B)/liblithe.a
	@for tool in dpkg-buildpackage dh lintian; do command -v $$tool >/dev/null || { echo "lithe: this needs $$tool:  apt-get install dpkg-dev debhelper lintian"; exit 1; }; done
	@rm -rf $(B)/deb && mkdir -p $(B)/deb/lithe-$(RELEASE)
	@tar -c --exclude=./build* --exclude=./runs --exclude=./.git . | tar -x -C $(B)/deb/lithe-$(RELEASE)
	@name=$${DEBFULLNAME:-$$(git config user.name || git log -1 --format=%an)} address=$${DEBEMAIL:-$$(git config user.email || git log -1 --format=%ae)}; \
	[ "$$name" ] && [ "$$address" ] || { echo "lithe: who makes the packages?  make deb DEBFULLNAME='Your Name' DEBEMAIL=you@your.domain"; exit 1; }; \
	cd $(B)/deb/lithe-$(RELEASE)/debian && sed -i "s|@MAINTAINER@|$$(printf '%s <%s>' "$$name" "$$address" | sed 's/[&|\\]/\\&/g')|" control changelog
	cd $(B)/deb/lithe-$(RELEASE) && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS B='$(abspath $(B))' DEB_BUILD_OPTIONS='nocheck parallel=$(JOBS)' dpkg-buildpackage -us -uc -b -nc
	@rm -rf $(B)/deb/lithe-$(RELEASE)
	lintian --fail-on error,warning $(B)/deb/*.changes
	@ls $(B)/deb/*.deb

clean: ; rm -rf $(B)

-include tests/check.mk

.PHONY: all deps test install uninstall deb clean require-libraries run bench docs house check-all
