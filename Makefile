# make            build/ngx_http_loyalty_module.so for the nginx of Debian
# make demo       build it and run a shop's program on port 8080
#                 CONF=shop or CONF=mobile: another sample of conf/
# make test       build it and run every test
#
# make help lists the rest.  What is missing is installed with apt-get.

BUILD ?= $(CURDIR)/build
JOBS ?= $(shell nproc)

# tests wait more than they compute
TEST_JOBS ?= $(shell expr $(JOBS) + 1)

# which sample of conf/ "make demo" runs: demo, shop, mobile
CONF ?= demo

# whose ledger "make fsck" proves; the demo's when nothing is said
REDIS ?= unix:build/$(CONF)/redis.sock
PROGRAM ?=

MODULE = $(BUILD)/ngx_http_loyalty_module.so
DEPS = build-aux/deps.sh

export LOYALTY_BUILD = $(BUILD)
export LOYALTY_MODULE ?= $(MODULE)


all: deps module
	@echo $(MODULE)

help:
	@echo "make            build $(MODULE)"
	@echo "make demo       run the demo: nginx on port 8080, a private Redis;"
	@echo "                CONF=shop: an existing shop that is observed,"
	@echo "                CONF=mobile: an app with tokens"
	@echo "make demo-stop  stop it; CONF= as above"
	@echo "make verify     build $(BUILD)/loyalty-verify, the verifier of draws"
	@echo "make web        build $(BUILD)/verify.html, a page that verifies them"
	@echo "make test       all tests; TESTS='t/a.t ...' for some of them"
	@echo "make asan       end-to-end tests on nginx with ASan and UBSan"
	@echo "make fuzz       fuzzers, FUZZ_TIME=60 seconds each"
	@echo "make lint       compiler warnings, style, Lua, Perl and shell"
	@echo "make soak       100,000 observed purchases while all else fails;"
	@echo "                soak-plays: 100,000 plays, KILLS=200 SEED=;"
	@echo "                soak-verify: N=400 changes of each file or campaign;"
	@echo "                soak-version: a draw's second version, four minutes"
	@echo "make replay     two years of real purchases; REPLAY='--data DIR'"
	@echo "make bench      measurements; bench-draws: the arithmetic of draws;"
	@echo "                bench-verify: loyalty-verify on N=1000000 records;"
	@echo "                bench-plays: plays of an instant win"
	@echo "make stats      statistics of draws, N=1000000 outcomes of each kind,"
	@echo "                and dieharder, for an hour; DIEHARDER='' for none"
	@echo "make fsck       proves every member's ledger; REDIS=host:port, PROGRAM="
	@echo "make clean      removes build/"

deps:
	@$(DEPS) build


# The list of sources is part of what nginx's configure knows: it runs again
# when a file comes or goes, or begins to hold the Lua library.

$(BUILD)/sources: FORCE
	@mkdir -p $(BUILD)
	@{ ls src/*/*.[ch] src/*/*.lua | grep -v ^src/verify/; \
	   grep -l loyalty_library.h src/*/*.c; \
	   grep -h '^ngx_module_t .*{' src/*/*.c; } > $@.$$$$ 2>/dev/null; \
	 if cmp -s $@.$$$$ $@; then rm $@.$$$$; else mv $@.$$$$ $@; fi

$(BUILD)/Makefile: $(BUILD)/sources config config.make \
                   build-aux/configure.sh build-aux/exports.map
	@echo configuring
	@build-aux/configure.sh $(BUILD)

module:
	@mkdir -p $(BUILD)
	@flock $(BUILD) $(MAKE) -s --no-print-directory module-locked

module-locked: $(BUILD)/Makefile
	@$(MAKE) -s --no-print-directory -j$(JOBS) -f $(BUILD)/Makefile \
	         -C /usr/share/nginx/src modules


demo:
	@$(DEPS) build run
	@$(MAKE) -s --no-print-directory module
	@if command -v npm > /dev/null; then \
	    $(MAKE) -s --no-print-directory web \
	    || echo "the page that verifies draws could not be built"; \
	 else \
	    echo "no npm: \"make web\" installs it, and builds a page that" \
	         "verifies draws"; \
	 fi
	@conf/demo.sh start $(CONF)

demo-stop:
	@conf/demo.sh stop $(CONF)

test:
	@$(DEPS) build test node
	@$(MAKE) -s --no-print-directory module unit verify
	@$(MAKE) -s --no-print-directory web \
	 || echo "no page: its tests are skipped"
	@$(DEPS) browser || echo "no browser: its tests are skipped"
	@perl tests/run.pl --jobs $(TEST_JOBS) $(TESTS)

asan:
	@$(DEPS) build test asan
	@$(MAKE) -s --no-print-directory verify
	@build-aux/asan.sh $(BUILD)/asan $(JOBS)
	@LOYALTY_NGINX=$(BUILD)/asan/nginx LOYALTY_MODULE=static \
	 perl tests/run.pl --jobs $(JOBS) $(or $(TESTS),t/*.t)

lint:
	@$(DEPS) build lint
	@$(MAKE) -s --no-print-directory module
	@build-aux/lint.sh

bench:
	@$(DEPS) build bench
	@$(MAKE) -s --no-print-directory module
	@tests/bench/run

bench-plays:
	@$(DEPS) build bench
	@$(MAKE) -s --no-print-directory module
	@tests/bench/run plays play-call play-win

bench-verify: verify
	@perl tests/bench/verify.pl $(N)

bench-draws:
	@$(DEPS) build
	@$(MAKE) -s --no-print-directory $(BUILD)/stats/draws
	@$(BUILD)/stats/draws

# the stream has no end: its writer stops when the reader has had enough
stats: N = 1000000
stats: DIEHARDER = -a
stats:
	@$(DEPS) build $(if $(DIEHARDER),stats)
	@$(MAKE) -s --no-print-directory $(BUILD)/stats/stats
	@$(BUILD)/stats/stats $(N)
	@[ -z "$(DIEHARDER)" ] \
	 || $(BUILD)/stats/stats --stream \
	    | dieharder -g 200 $(DIEHARDER) | tee $(BUILD)/stats/dieharder
	@[ -z "$(DIEHARDER)" ] \
	 || { grep -q PASSED $(BUILD)/stats/dieharder \
	      && ! grep FAILED $(BUILD)/stats/dieharder; }

soak:
	@$(DEPS) build test
	@$(MAKE) -s --no-print-directory module
	@LOYALTY_SOAK=100000 perl tests/run.pl --time 900 t/observe_soak.t

soak-plays:
	@$(DEPS) build test
	@$(MAKE) -s --no-print-directory module verify
	@LOYALTY_SOAK=$(or $(N),100000) LOYALTY_KILLS=$(KILLS) \
	 LOYALTY_SEED=$(SEED) perl tests/run.pl --time 3600 t/instant_kill.t

soak-verify:
	@$(DEPS) build test node
	@$(MAKE) -s --no-print-directory verify web
	@LOYALTY_MUTATIONS=$(or $(N),400) LOYALTY_DRAWS=$(or $(DRAWS),200) \
	 perl tests/run.pl --time 3600 tests/verify/mutations.t \
	     tests/verify/page_mutations.t tests/verify/differential.t

soak-version:
	@$(DEPS) build test
	@$(MAKE) -s --no-print-directory module verify
	@perl tests/run.pl --time 900 tests/soak/version.pl

replay:
	@$(DEPS) build test
	@$(MAKE) -s --no-print-directory module
	@tests/replay/replay.pl $(REPLAY)

fsck:
	@$(DEPS) run
	@bin/loyalty-fsck --redis $(REDIS) $(if $(PROGRAM),--program $(PROGRAM))

clean:
	rm -rf $(BUILD)


# The verifier: a program of its own, of src/verify alone and libcrypto.  It
# checks the beacon's signatures where there is a blst: the system's, or the
# one that is built here from its sources, which npm fetches.

BLST ?= $(BUILD)/blst
VERIFY = $(BUILD)/loyalty-verify
VERIFY_OBJS = $(patsubst src/%.c,$(BUILD)/%.o,$(wildcard src/verify/*.c))
VERIFY_CFLAGS = -std=gnu11 -g -O2 -Wall -Wextra -Werror

ifneq ($(wildcard $(BLST)/libblst.a),)
BLST_CFLAGS = -DLV_BLST -I$(BLST)
BLST_LIBS = $(BLST)/libblst.a
else ifneq ($(wildcard /usr/include/blst.h /usr/local/include/blst.h),)
BLST_CFLAGS = -DLV_BLST
BLST_LIBS = -lblst
endif

verify: deps
	@mkdir -p $(BUILD)/verify
	@[ -n "$(BLST_LIBS)" ] \
	 || { $(DEPS) node && build-aux/blst.sh $(BLST); } \
	 || echo "no blst: loyalty-verify cannot check a beacon's signatures"
	@flock $(BUILD) $(MAKE) -s --no-print-directory -j$(JOBS) verify-locked

verify-locked: $(VERIFY) $(if $(BLST_LIBS),$(BUILD)/verify/chain)

$(BUILD)/verify/blst: FORCE
	@mkdir -p $(@D)
	@echo '$(BLST_CFLAGS) $(BLST_LIBS)' | cmp -s - $@ \
	 || echo '$(BLST_CFLAGS) $(BLST_LIBS)' > $@

$(BUILD)/verify/%.o: src/verify/%.c $(BUILD)/verify/blst
	@$(CC) $(VERIFY_CFLAGS) $(BLST_CFLAGS) -MMD -MP -c -o $@ $<

# a beacon for its tests
$(BUILD)/verify/chain: tests/verify/chain.c $(BUILD)/verify/blst
	@$(CC) $(VERIFY_CFLAGS) $(BLST_CFLAGS) -o $@ $< -lcrypto $(BLST_LIBS)

$(VERIFY): $(VERIFY_OBJS)
	@$(CC) -o $@ $^ -lcrypto $(BLST_LIBS)


# The page that verifies, one file with everything in it, and its verifier as a
# command for node.

WEB = $(BUILD)/verify.html
WEB_SOURCES = $(wildcard src/web/*.js src/web/*.html src/web/*.css \
                         src/web/*/*.js)

web:
	@$(DEPS) node
	@mkdir -p $(BUILD)
	@flock $(BUILD) $(MAKE) -s --no-print-directory $(WEB)

src/web/node_modules/.installed: src/web/package-lock.json
	@cd src/web && npm ci --silent
	@touch $@

$(WEB): src/web/node_modules/.installed $(WEB_SOURCES)
	@rm -f $@ $(BUILD)/verify-node.mjs
	@node src/web/bundle.js $(BUILD)


# Unit tests: each file is a program of its own, linked with the files that
# need no nginx, under ASan and UBSan.

UNIT_CFLAGS = -std=gnu11 -g -O1 -Wall -Wextra -Werror \
              -Wno-unused-parameter -fsanitize=address,undefined \
              -fno-sanitize-recover=all \
              $(addprefix -Isrc/,core program redis draws games http)
UNIT_LIBS = -l:libhiredis.a -ljansson -lpcre2-8 -lcrypto -lm

# the blst of loyalty-verify, where it is there
ifneq ($(BLST_LIBS),)
UNIT_CFLAGS += -DLOYALTY_BLST=1 -I$(BLST)
UNIT_LIBS += $(BLST_LIBS)
endif

PURE = $(wildcard src/*/loyalty_*.c)
PURE_OBJS = $(PURE:src/%.c=$(BUILD)/unit/%.o)
UNIT = $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
SEEDS = $(patsubst tests/fuzz/%.c,$(BUILD)/seeds/%,$(wildcard \
          tests/fuzz/fuzz_*.c))

unit:
	@mkdir -p $(BUILD)
	@flock $(BUILD) $(MAKE) -s --no-print-directory -j$(JOBS) unit-locked

unit-locked: $(UNIT) $(SEEDS)

$(BUILD)/unit/%.o: src/%.c
	@mkdir -p $(@D)
	@$(CC) $(UNIT_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/unit/libpure.a: $(PURE_OBJS)
	@rm -f $@
	@$(AR) rcs $@ $^

$(BUILD)/unit/test_%: tests/unit/test_%.c $(BUILD)/unit/libpure.a
	@mkdir -p $(@D)
	@$(CC) $(UNIT_CFLAGS) -MMD -MP -MF $@.d -o $@ $< \
	       $(BUILD)/unit/libpure.a -lcmocka $(UNIT_LIBS)


# Fuzzers without their engine, which try their seeds, and what comes of
# changing them, in "make test".  Some run files that see nginx, whose headers
# are there without it.

NGINX = /usr/share/nginx/src/src
NGINX_INCS = $(addprefix -I$(NGINX)/,core event event/modules event/quic \
                         os/unix http http/modules http/v2 http/v3) -I$(BUILD)

$(BUILD)/seeds/%: tests/fuzz/%.c tests/fuzz/seeds.c $(BUILD)/unit/libpure.a
	@mkdir -p $(@D)
	@$(CC) $(UNIT_CFLAGS) $(NGINX_INCS) -MMD -MP -MF $@.d -o $@ \
	       $< tests/fuzz/seeds.c $(BUILD)/unit/libpure.a $(UNIT_LIBS)


# Statistics and speed of draws, optimised as the module is

DRAWS = $(patsubst %,src/core/loyalty_%.c,chain draw hash io manifest merkle \
                   moments note record sample statement winners)
DRAWS_CFLAGS = -std=gnu11 -g -O2 -Wall -Wextra -Werror \
               -Wno-unused-parameter -Isrc/core

$(BUILD)/stats/stats: tests/stats/stats.c tests/stats/outcomes.h
$(BUILD)/stats/draws: tests/bench/draws.c

$(BUILD)/stats/%: $(DRAWS) $(wildcard src/core/*.h)
	@mkdir -p $(@D)
	@$(CC) $(DRAWS_CFLAGS) -o $@ $(filter %.c,$^) -lcrypto -lm


# Fuzzers: tests/fuzz/fuzz_NAME.c with its seeds in tests/fuzz/NAME/.  What
# goes wrong is put there, too, and is a test from then on.

FUZZ_TIME ?= 60
FUZZ_CFLAGS = -g -O1 -fsanitize=address,undefined \
              -fno-sanitize-recover=all \
              $(addprefix -Isrc/,core program redis draws games http) \
              $(NGINX_INCS)
FUZZ_OBJS = $(PURE:src/%.c=$(BUILD)/fuzz/pure/%.o)
FUZZ = $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

fuzz:
	@$(DEPS) build fuzz
	@$(MAKE) -s --no-print-directory module
	@$(MAKE) -s --no-print-directory -j$(JOBS) $(FUZZ)
	@$(MAKE) -s --no-print-directory fuzz-run

fuzz-run: $(FUZZ)
	@set -e; for fuzzer in $(FUZZ); do \
	    name=$${fuzzer##*/fuzz_}; \
	    echo "fuzzing $$name for $(FUZZ_TIME) s"; \
	    mkdir -p $(BUILD)/fuzz/corpus/$$name; \
	    seeds=; [ ! -d tests/fuzz/$$name ] || seeds=tests/fuzz/$$name; \
	    $$fuzzer -max_total_time=$(FUZZ_TIME) -verbosity=0 \
	        -print_final_stats=1 -timeout=10 -rss_limit_mb=2048 \
	        -artifact_prefix=$(BUILD)/fuzz/$$name- \
	        $(BUILD)/fuzz/corpus/$$name $$seeds; \
	done

$(BUILD)/fuzz/pure/%.o: src/%.c
	@mkdir -p $(@D)
	@clang $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(BUILD)/fuzz/%: tests/fuzz/%.c $(FUZZ_OBJS)
	@mkdir -p $(@D)
	@clang $(FUZZ_CFLAGS) -fsanitize=fuzzer -MMD -MP -MF $@.d -o $@ $< \
	       $(FUZZ_OBJS) $(UNIT_LIBS)


FORCE:

-include $(wildcard $(BUILD)/verify/*.d $(BUILD)/unit/*/*.d $(BUILD)/unit/*.d \
                    $(BUILD)/seeds/*.d $(BUILD)/fuzz/*.d \
                    $(BUILD)/fuzz/pure/*/*.d)

.PHONY: all help deps module module-locked demo demo-stop verify web \
        verify-locked test asan lint bench bench-draws bench-plays bench-verify \
        stats soak soak-plays soak-verify soak-version replay fsck clean \
        unit unit-locked fuzz fuzz-run FORCE
