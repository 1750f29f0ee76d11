# Lithe: the whole build.   make | make test | make run | make deps | make bench | make check-all | make install
CC      ?= gcc
PREFIX  ?= /usr/local
B       := build
ROOMS   := base text kernels graph ops arch model data train infer
LIBS    := jansson libpcre2-8 libutf8proc libzstd zlib libxxhash
PACKAGES := gcc make pkg-config libjansson-dev libpcre2-dev libutf8proc-dev libzstd-dev zlib1g-dev libxxhash-dev libcmocka-dev \
            bible-kjv bible-kjv-text

WARN    := -Wall -Wextra -Wshadow -Wconversion
CFLAGS  ?= -O2 -g
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE $(WARN) $(CFLAGS) -ffp-contract=off -fno-math-errno -fvisibility=hidden -fPIC -pthread -Iinclude -Isrc \
              $(shell pkg-config --cflags $(LIBS) 2>/dev/null)
LDLIBS  := $(shell pkg-config --libs $(LIBS) 2>/dev/null) -lm -pthread

# Sources by room; kernels by level.  vector/ is compiled once for each width.
SRC     := $(foreach r,$(filter-out kernels,$(ROOMS)),$(wildcard src/$(r)/*.c)) $(wildcard src/kernels/*.c) $(wildcard src/kernels/ref/*.c)
VECTOR  := $(wildcard src/kernels/vector/*.c)
AMX     := $(wildcard src/kernels/amx/*.c)
