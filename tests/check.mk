# Slow proofs:  make check-all, or one of its parts.
#
#   check-asan   every test, with AddressSanitizer and UndefinedBehaviorSanitizer
#   check-tsan   the thread pool, kernels and short training runs, with ThreadSanitizer
#   check-long   a million tokens from small recurrent models: constant memory, constant time for a token;
#                ALiBi at four times the length it was trained at
#   check-faults every allocation and every system call of whole commands failed, once and from then on
#                (tests/faults.c); of a run and of every reader in one process (tests/calls.c, tests/failing_*.c);
#                the power lost after every change of the disk (tests/power.c)
#   check-kills  runs of every kind killed KILLS times each at random, and continued to the same bytes (tests/kills.c)
#   check-mpi    ranks killed at MPI_KILLS random moments; as root, hosts as network namespaces, on lines of 1 and 10
#                Gbit/s and with loss, of which one is lost, stopped or has a full disk (tests/mpi)
#   check-clang  everything that there is to compile, by clang, without a warning
#   check-aarch64 the whole for aarch64 by Debian's cross-compiler, and its tests under qemu-user, at ref and at neon;
#                it is left out, and says so, where the compiler, the libraries for arm64 or qemu are absent
#   check-lint   clang's warnings, cppcheck and, where it is, clang-tidy on the library and the program; accepted findings are in
#                tests/lint
#   coverage     the lines of the library, and the branches of readers and checkpoints, that the tests reach
#   check-fuzz   each tests/fuzz/NAME.c on FUZZ_RUNS inputs, but for no longer than FUZZ_SECONDS, beginning with
#                tests/fuzz/corpus/NAME; it says how many inputs each was given
#
# A sanitized build is a tree of its own in build/WHICH: its tests find the sources through links.
FUZZ_RUNS    ?= 200000
FUZZ_SECONDS ?= 600
ASAN_FILTER  ?=
TSAN_FILTERS ?= base: graph: kernels: train:_a_run train:_threads train:_accumulation ranks:_a ranks:_sums serve:
SHARED_DATA   = $(or $(LITHE_SHARED),$(CURDIR)/../shared)
,            := ,

# Debuggable, and a finding ends the process.
SANE := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all
sanitized = $(MAKE) --no-print-directory B=build/$(1)/build CFLAGS='$(SANE) -fsanitize=$(2)' HARDENING=
links     = mkdir -p build/$(1)/build && for d in src cli tests include docs tools bench README.md README.zh.md Makefile; do ln -sfn ../../$$d build/$(1)/$$d; done

# One after the other, with what each took; few kills and short fuzzing, so that all end within the hour.  Some faults
# of each command are among the tests; every one of them (check-faults) takes hours.
CHECKS ?= test check-lint check-clang check-aarch64 check-asan check-tsan check-kills check-mpi check-fuzz check-long
check-all:
	@for each in $(CHECKS); do \
	    begun=$$(date +%s); $(MAKE) --no-print-directory KILLS=20 MPI_KILLS=12 FUZZ_SECONDS=20 $$each || { echo "check-all: $$each failed"; exit 1; }; \
	    took="$$took  $$each $$(($$(date +%s) - begun))"; done; \
	echo "check-all: every part passed; seconds of each:$$took"

check-asan: deps
	@$(call links,asan)
	@$(call sanitized,asan,address$(,)undefined) build/asan/build/lithe build/asan/build/tests build/asan/build/tests-double $(if $(MPI),build/asan/build/liblithe_mpi.so)
	LITHE_SHARED='$(SHARED_DATA)' ASAN_OPTIONS=allocator_may_return_null=1 build/asan/build/tests '$(ASAN_FILTER)'

check-tsan: deps
	@$(call links,tsan)
	@$(call sanitized,tsan,thread) build/tsan/build/tests
	@for filter in $(TSAN_FILTERS); do \
	    LITHE_SHARED='$(SHARED_DATA)' TSAN_OPTIONS=halt_on_error=1 build/tsan/build/tests "$$(echo $$filter | tr _ ' ')" || exit 1; done

# In memory, for each of some ten thousand commands syncs its files.
FAULTS_FILTER ?=
check-faults: deps
	@$(MAKE) --no-print-directory all $(B)/tests
	TMPDIR=$(or $(wildcard /dev/shm),/tmp) LITHE_FAULTS=all $(B)/tests 'faults: $(FAULTS_FILTER)'
	$(if $(FAULTS_FILTER),,for each in calls: power:; do TMPDIR=$(or $(wildcard /dev/shm),/tmp) LITHE_FAULTS=all $(B)/tests $$each || exit 1; done)

KILLS ?= 150
KILLS_FILTER ?=
check-kills: deps
	@$(MAKE) --no-print-directory all $(B)/tests
	TMPDIR=$(or $(wildcard /dev/shm),/tmp) LITHE_KILLS=$(KILLS) $(B)/tests 'kills: $(KILLS_FILTER)'

MPI_KILLS ?= 40
check-mpi: deps
	@$(MAKE) --no-print-directory all
	tests/mpi/kills.sh $(MPI_KILLS)
	$(if $(filter 0,$(shell id -u)),tests/mpi/faults.sh,@echo "check-mpi: hosts as network namespaces need root")

# Kernels are left to the compilers: they are arithmetic on pointers.
LINTED     = $(filter-out src/kernels/% src/train/reduce_mpi.c,$(wildcard src/*/*.c cli/*.c))
TIDIED     = $(filter-out src/base/error.c,$(LINTED))
LINT_FLAGS = -D_GNU_SOURCE -Iinclude -Isrc -Icli -DLITHE_PNG -DLITHE_JPEG -DLITHE_HTTP
check-lint: deps
	@for tool in clang cppcheck; do command -v $$tool >/dev/null || { echo "lithe: this needs $$tool:  apt-get install clang cppcheck"; exit 1; }; done
	@printf '%s\n' $(LINTED) $(wildcard src/kernels/*.c src/kernels/ref/*.c) | xargs -P $(JOBS) -n 16 clang -std=c11 $(LINT_FLAGS) $(LIBFLAGS) -fsyntax-only $(WARN) -Werror
	@cppcheck -q -j $(JOBS) --std=c11 --language=c $(LINT_FLAGS) --enable=warning,portability --suppressions-list=tests/lint/cppcheck --error-exitcode=1 $(LINTED)
	@if command -v clang-tidy >/dev/null; then printf '%s\n' $(TIDIED) | xargs -P $(JOBS) -n 4 sh -c 'clang-tidy --quiet --config-file=tests/lint/clang-tidy "$$@" -- -std=c11 $(LINT_FLAGS) $(LIBFLAGS) -include tests/lint/analyzer.h 2>/dev/null; :' - | \
	    awk -f tests/lint/tidy.awk tests/lint/tidy-accepted -; \
	else echo "check-lint: clang-tidy is absent, its checks are left out:  apt-get install clang-tidy"; fi

# Branches are counted as they are written, so nothing is merged or moved, and what is asked everywhere is a question
# of two answers (tests/lint/counted.h).  What is missed is listed in build/coverage/missed.  The program and the tests are
# not counted: at its end a program writes its counts before its libraries end, while calls of it still fail.
COVERAGE_FILTER ?=
coverage: deps
	@$(call links,coverage)
	@$(MAKE) --no-print-directory -j$(JOBS) B=build/coverage/build CFLAGS='-Og -g --coverage -include tests/lint/counted.h -Wl,-u,__gcov_dump' HARDENING= build/coverage/build/lithe build/coverage/build/tests
	@find build/coverage -name '*.gcda' -delete
	-LITHE_SHARED='$(SHARED_DATA)' build/coverage/build/tests '$(COVERAGE_FILTER)'
	-$(if $(COVERAGE_FILTER),,for each in calls: 'faults: reading'; do LITHE_FAULTS=all build/coverage/build/tests "$$each"; done)
	@find build/coverage/build -name '*.gcda' | xargs gcov -b -c -t 2> build/coverage/gcov | \
	    awk -v MISSED=build/coverage/missed -f tests/lint/coverage.awk tests/lint/readers tests/lint/unreached -

build/coverage/build/cli/%.o build/coverage/build/tests.d/%.o: override CFLAGS := $(filter-out --coverage,$(CFLAGS))

check-clang: deps
	@command -v clang >/dev/null || { echo "lithe: this needs clang:  apt-get install clang"; exit 1; }
	@$(MAKE) --no-print-directory -j$(JOBS) B=build/clang CC=clang WARN='$(WARN) -Werror' all build/clang/tests build/clang/tests-double $(BENCHES:$(B)/%=build/clang/%) $(LONGS:$(B)/%=build/clang/%)
	@echo "  clang has no warning"

# $(AARCH64_FILTERS) choose the tests: qemu is some thirty times slower than the machine it runs on, and aborts where a
# forked child starts threads.
AARCH64  := aarch64-linux-gnu
AARCH64_PACKAGES := crossbuild-essential-arm64 qemu-user $(addsuffix :arm64,$(filter lib%-dev zlib%,$(filter-out libc6-dev libopenmpi-dev,$(PACKAGES))))
AARCH64_FILTERS ?= kernels ops: base:_every base:_the_caller gguf:_logits
crossed   = PKG_CONFIG_LIBDIR=/usr/lib/$(AARCH64)/pkgconfig:/usr/share/pkgconfig $(MAKE) --no-print-directory -j$(JOBS) B=build/aarch64/build MPI= \
            CC='$(CCACHE) $(AARCH64)-gcc' AR=$(AARCH64)-ar OBJCOPY=$(AARCH64)-objcopy RUN=qemu-aarch64
check-aarch64:
	@for needed in $(AARCH64)-gcc qemu-aarch64; do command -v $$needed >/dev/null || { absent=$$needed; break; }; done; \
	[ -e /usr/lib/$(AARCH64)/libjansson.so ] || absent="$${absent:-libjansson-dev:arm64}"; \
	if [ "$$absent" ]; then echo "check-aarch64: skipped, there is no $$absent:  dpkg --add-architecture arm64; apt-get update; apt-get install $(AARCH64_PACKAGES)"; \
	else $(MAKE) --no-print-directory checked-aarch64; fi

checked-aarch64:
	@$(call links,aarch64)
	@$(crossed) build/aarch64/build/lithe build/aarch64/build/tests
	@cd build/aarch64/build && if ! head -c 2 lithe | grep -q '#!'; then mv lithe lithe-aarch64 && \
	    printf '#!/bin/sh\nexec qemu-aarch64 "$${0%%/*}/lithe-aarch64" "$$@"\n' > lithe && chmod +x lithe; fi
	@for level in ref neon; do for filter in $(AARCH64_FILTERS); do \
	    LITHE_CPU=$$level LITHE_SHARED='$(SHARED_DATA)' qemu-aarch64 build/aarch64/build/tests "$$(echo $$filter | tr _ ' ')" || exit 1; done; done

LONGS       = $(patsubst tests/long/%.c,$(B)/long-%,$(wildcard tests/long/*.c))
LONG_ARCHS ?= rwkv4 rwkv5 rwkv6 rwkv7
check-long: deps
	@$(MAKE) --no-print-directory $(LONGS)
	@for arch in $(LONG_ARCHS); do $(B)/long-tokens $$arch || exit 1; done
	@$(B)/long-extrapolation README.md docs/*.md

$(B)/long-%: tests/long/%.c $(OBJ)
	@echo "  ld $@"
	@$(CC) $(FLAGS) $(CFLAGS) $(LIBFLAGS) -o $@ $< $(OBJ) $(LDLIBS)

# libFuzzer is clang's.  What is found is left in build/fuzz/NAME-*.  Choosing inputs by their entropy would take as
# long as the slowest fuzzers themselves; inputs that are lists of edits are long from the start.
FUZZ_FLAGS = -runs=$(FUZZ_RUNS) -max_total_time=$(FUZZ_SECONDS) -timeout=60 -rss_limit_mb=3000 -entropic=0 -len_control=0 -print_final_stats=1
check-fuzz: deps
	@command -v clang >/dev/null || { echo "lithe: fuzzing needs clang:  apt-get install clang"; exit 1; }
	@$(MAKE) --no-print-directory -j$(JOBS) B=build/fuzz CC=clang CFLAGS='$(SANE) -fsanitize=fuzzer-no-link,address,undefined' HARDENING= $(FUZZERS:%=fuzzed-%)

fuzzed-%: $(B)/fuzz-%
	@mkdir -p build/fuzz/corpus/$*
	@LITHE_CPU=ref ASAN_OPTIONS=allocator_may_return_null=1 build/fuzz/fuzz-$* $(FUZZ_FLAGS) -artifact_prefix=build/fuzz/$*- \
	    build/fuzz/corpus/$* tests/fuzz/corpus/$* > build/fuzz/$*.log 2>&1 || { tail -40 build/fuzz/$*.log; exit 1; }
	@echo "  fuzz $*: $$(sed -n 's/^stat::number_of_executed_units: *//p' build/fuzz/$*.log) inputs"

# Fuzzers run the kernels of ref, into which the sanitizers look: the others only have to be there.
build/fuzz/avx2/%.o build/fuzz/avx512/%.o build/fuzz/vnni/%.o build/fuzz/kernels/amx/%.o: override CFLAGS := -O0
build/fuzz/avx2/%.o: override AVX2 := $(filter-out -O3,$(AVX2))
build/fuzz/avx512/%.o build/fuzz/vnni/%.o build/fuzz/kernels/amx/%.o: override AVX512 := $(filter-out -O3,$(AVX512))

$(B)/fuzz-%: tests/fuzz/%.c $(wildcard tests/fuzz/*.h) $(OBJ)
	@echo "  fuzzer $@"
	@$(CC) $(FLAGS) $(CFLAGS) -fsanitize=fuzzer $(LIBFLAGS) -Itests -o $@ $< $(OBJ) $(LDLIBS)

.PHONY: check-all check-clang check-aarch64 checked-aarch64 coverage check-lint check-asan check-tsan check-faults check-kills check-mpi check-fuzz check-long
.PRECIOUS: $(B)/fuzz-%

# The tests with the sources below EXAMPLE/src in the place of the library's own: tests/extending.c joins the code of docs/extending.md so.
EXAMPLES      = $(patsubst $(EXAMPLE)/src/%.c,%.o,$(wildcard $(EXAMPLE)/src/*/*.c))
with_examples = $(CC) -I$(EXAMPLE)/src $(FLAGS) -Werror $(CFLAGS) $(LIBFLAGS) $(1) $(EXAMPLES:%.o=$(EXAMPLE)/src/%.c) $(filter-out $(EXAMPLES:%=$(2)%),$(3)) -o $(EXAMPLE)/build/$(4) $(LDLIBS)
examples:
	@mkdir -p $(EXAMPLE)/build
	@$(call with_examples,$(WRAPPED),$(B)/,$(TESTS) $(OBJ),tests)
	@$(call with_examples,-DLITHE_DOUBLE,$(B)/double/,$(DOUBLE),tests-double)

.PHONY: examples
