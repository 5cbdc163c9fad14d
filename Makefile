# rollcall. `make help` lists the targets; BUILD=release|debug|asan|tsan|coverage|fuzz.
.DEFAULT_GOAL := all
BUILD  ?= release
PREFIX ?= /usr/local
OUT    := build/$(BUILD)
SHELL  := /bin/sh
comma  := ,
# V=1 shows whole commands.
Q      := $(if $(V),,@)

PKGS     := libuv libcares libsodium libmicrohttpd libnghttp2 jansson libpcre2-8 \
            $(shell pkg-config --exists msgpack-c 2>/dev/null && echo msgpack-c || echo msgpack)
# Only their headers: these libraries are loaded when a check or a key first needs them.
LAZY     := libpq libcurl libcrypto sqlite3 libsystemd
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wvla \
            -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wundef \
            -Wpointer-arith -Wwrite-strings -Wformat=2 -Wswitch-enum -Wnull-dereference \
            -Wimplicit-fallthrough -Wdouble-promotion \
            -Wno-unknown-warning-option -Wno-format-truncation # messages are cut to their space on purpose
HARDEN   := -fno-math-errno -fPIE -fno-common -fstack-protector-strong
FRAME          := -Wframe-larger-than=16384 # the sanitizers' frames are larger
FLAGS_debug    := -Og -g3 $(FRAME)
FLAGS_release  := -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-clash-protection \
                  $(FRAME)
FLAGS_asan     := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
                  -fno-sanitize-recover=all
FLAGS_tsan     := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
FLAGS_coverage := -O0 -g --coverage
FLAGS_fuzz     := $(FLAGS_asan) -fsanitize=fuzzer-no-link

override CPPFLAGS += -I. -I$(OUT)/generated -D_GNU_SOURCE \
                     $(shell pkg-config --cflags $(PKGS) $(LAZY) 2>/dev/null)
override CFLAGS   += -std=c11 $(WARNINGS) $(HARDEN) $(FLAGS_$(BUILD)) $(if $(WERROR),-Werror)
override LDFLAGS  += -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(FLAGS_$(BUILD))
override LDLIBS   += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm

ALL_CH := $(shell find base dns agent proxy tests -name '*.[ch]' | sort)
ALL_C  := $(filter %.c,$(ALL_CH))
MAINS  := agent/main.c proxy/main.c
# One archive a program and one for what they share: neither can lean on the other.
SHARED := $(OUT)/libshared.a
AGENT  := $(OUT)/libagent.a
PROXY  := $(OUT)/libproxy.a
objects = $(patsubst %.c,$(OUT)/%.o,$(filter-out $(MAINS),$(filter $(1),$(ALL_C))))
PAGES  := $(filter-out %.md %/package.json,$(wildcard agent/ui/*))
PROXY_PAGES := $(filter-out %.md,$(wildcard proxy/admin/page/*))
BINS   := $(OUT)/rollcall $(OUT)/rollcall-proxy
UNIT   := $(patsubst %.c,$(OUT)/%,$(filter tests/unit/test_%.c,$(ALL_C)))
SIM    := $(patsubst %.c,$(OUT)/%,$(filter tests/sim/test_%.c,$(ALL_C)))
FUZZ   := $(patsubst %.c,$(OUT)/%,$(filter tests/fuzz/fuzz_%.c,$(ALL_C)))
REPLAY := $(subst /fuzz_,/replay_,$(FUZZ))
UNIT_HELP := $(patsubst %.c,$(OUT)/%.o,$(filter-out tests/unit/test_%,$(filter tests/unit/%,$(ALL_C))))
SIM_HELP  := $(patsubst %.c,$(OUT)/%.o,$(filter-out tests/sim/test_% tests/sim/rollcall_%, \
                 $(filter tests/sim/%,$(ALL_C))))
SIM_BIN   := $(OUT)/rollcall-sim
STORE_SIM := $(OUT)/rollcall-store-sim
KEEPER_SIM := $(OUT)/rollcall-keeper-sim
# The simulator's codec stands before the real one: tests/sim/wire_structs.h.
SIM_WRAP  := $(addprefix -Wl$(comma)--wrap=,wire_read wire_write wire_write_typed wire_write_serf \
                 envelope_add_crc envelope_strip_crc lzw_encode)

# The etcd engine against a real etcd: tests/interop/test_etcd.py and scripts/bench-store run it.
DRIVE := $(OUT)/tests/interop/etcd_drive
# Thousands of blocking queries: tests/interop/http_figures.py runs it.
HOLD := $(OUT)/tests/interop/hold_queries
# What our parser makes of heads, for the comparison with others.
VERDICT := $(OUT)/tests/interop/http_verdict
# What an answer of the DNS server costs, without sockets.
DNS_BENCH := $(OUT)/tests/bench/dns_answer_bench
# Memory of the board that DNS answers from, and the cost of a change.
DNS_FEED_BENCH := $(OUT)/tests/bench/dns_feed_bench
# DNS traffic, and the floor of what answering takes: tests/interop/dns_figures.py runs them.
DNS_LOAD := $(OUT)/tests/load/dns_load
DNS_ECHO := $(OUT)/tests/load/dns_echo
# A server that proxies are measured before, the floor of a proxy, long bodies: tests/interop/proxy_figures.py and test_proxy_bulk.py.
PROXY_LOAD := $(OUT)/tests/load/proxy_origin $(OUT)/tests/load/proxy_floor $(OUT)/tests/load/proxy_bulk
# The agent with clocks that a test sets: tests/interop/clock_shim.c.
CLOCKED := $(OUT)/rollcall-clocked

STORE_HELP := $(patsubst %.c,$(OUT)/%.o,$(filter tests/crash/%,$(ALL_C)))
STORE_BIN  := $(OUT)/rollcall-store

PYTHON := /usr/bin/python3 -B
PYTEST := /usr/bin/python3 -B tests/reaper.py /usr/bin/python3 -B -m pytest -q -p no:cacheprovider

all: $(BINS) ## build rollcall and rollcall-proxy into build/release

$(SHARED): $(call objects,base/% dns/%)
$(AGENT): $(call objects,agent/%) $(OUT)/generated/ui_pages.o
$(PROXY): $(call objects,proxy/%) $(OUT)/generated/admin_files.o
$(SHARED) $(AGENT) $(PROXY):
	@rm -f $@
	@$(AR) qcs $@ $^
$(OUT)/generated/ui_pages.c: scripts/embed-pages $(PAGES)
	@mkdir -p $(@D)
	scripts/embed-pages -z agent/ui agent/http/pages.h http_page >$@.new && mv $@.new $@
$(OUT)/generated/admin_files.c: scripts/embed-pages $(PROXY_PAGES)
	@mkdir -p $(@D)
	scripts/embed-pages proxy/admin/page proxy/admin/admin_files.h admin_file >$@.new && mv $@.new $@
$(OUT)/generated/%.o: $(OUT)/generated/%.c
	$(if $(V),,@echo '  CC  $<')
	$(Q)$(CC) $(CPPFLAGS) -MMD -MP $(CFLAGS) -c $< -o $@
$(OUT)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(V),,@echo '  CC  $<')
	$(Q)$(CC) $(CPPFLAGS) -MMD -MP $(CFLAGS) -c $< -o $@
$(OUT)/rollcall: $(OUT)/agent/main.o $(AGENT) $(SHARED)
	$(if $(V),,@echo '  LD  $@')
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(OUT)/rollcall-proxy: $(OUT)/proxy/main.o $(PROXY) $(SHARED)
	$(if $(V),,@echo '  LD  $@')
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(UNIT): $(OUT)/tests/unit/%: $(OUT)/tests/unit/%.o $(UNIT_HELP) $(AGENT) $(PROXY) $(SHARED)
	$(if $(V),,@echo '  LD  $@')
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -lcmocka -o $@
$(SIM): $(OUT)/tests/sim/%: $(OUT)/tests/sim/%.o $(SIM_HELP) $(AGENT) $(PROXY) $(SHARED)
	$(if $(V),,@echo '  LD  $@')
	$(Q)$(CC) $(LDFLAGS) $(SIM_WRAP) $^ $(LDLIBS) -lcmocka -o $@
$(SIM_BIN): $(OUT)/tests/sim/rollcall_sim.o $(SIM_HELP) $(AGENT) $(SHARED)
	$(if $(V),,@echo '  LD  $@')
	$(Q)$(CC) $(LDFLAGS) $(SIM_WRAP) $^ $(LDLIBS) -o $@
$(DRIVE): %: %.o $(patsubst %.c,$(OUT)/%.o,$(filter tests/unit/engine_%,$(ALL_C))) $(AGENT) $(SHARED)
	$(if $(V),,@echo '  LD  $@')
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -lcmocka -o $@
$(CLOCKED): $(OUT)/agent/main.o $(OUT)/tests/interop/clock_shim.o $(AGENT) $(SHARED)
	$(if $(V),,@echo '  LD  $@')
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(DNS_LOAD): %: %.o $(patsubst %.c,$(OUT)/%.o,$(filter tests/load/load_%.c,$(ALL_C))) $(SHARED)
	$(if $(V),,@echo '  LD  $@')
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(PROXY_LOAD): %: %.o $(OUT)/tests/load/bulk_pattern.o $(SHARED)
	$(if $(V),,@echo '  LD  $@')
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(VERDICT): %: %.o $(PROXY) $(SHARED)
	$(if $(V),,@echo '  LD  $@')
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(HOLD) $(DNS_BENCH) $(DNS_ECHO): %: %.o $(SHARED)
	$(if $(V),,@echo '  LD  $@')
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(DNS_FEED_BENCH): %: %.o $(AGENT) $(SHARED)
	$(if $(V),,@echo '  LD  $@')
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@
# Its own ways to the disk stand before the C library's, for SQLite too: tests/crash/disk_faults.h.
$(STORE_BIN): $(STORE_HELP) $(AGENT) $(SHARED)
	$(if $(V),,@echo '  LD  $@')
	$(Q)$(CC) $(LDFLAGS) -rdynamic $^ $(LDLIBS) -o $@
$(STORE_SIM): $(OUT)/tests/sim/rollcall_store_sim.o $(SIM_HELP) $(AGENT) $(SHARED)
	$(if $(V),,@echo '  LD  $@')
	$(Q)$(CC) $(LDFLAGS) $(SIM_WRAP) $^ $(LDLIBS) -o $@
$(KEEPER_SIM): $(OUT)/tests/sim/rollcall_keeper_sim.o $(SIM_HELP) $(AGENT) $(SHARED)
	$(if $(V),,@echo '  LD  $@')
	$(Q)$(CC) $(LDFLAGS) $(SIM_WRAP) $^ $(LDLIBS) -o $@
$(FUZZ): %: %.o $(AGENT) $(PROXY) $(SHARED)
	$(if $(V),,@echo '  LD  $@')
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS) -o $@
$(REPLAY): $(OUT)/tests/fuzz/replay_%: $(OUT)/tests/fuzz/fuzz_%.o \
                                       $(OUT)/tests/fuzz/replay_main.o $(AGENT) $(PROXY) $(SHARED)
	$(if $(V),,@echo '  LD  $@')
	$(Q)$(CC) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS) -o $@

# What makes a catalog and questions of bytes is the unit test's.
TRIAL := $(patsubst %.c,$(OUT)/%.o,tests/unit/dns_trial.c tests/unit/dns_trial_world.c \
             tests/unit/dns_apart.c)
$(OUT)/tests/fuzz/fuzz_dns_answer $(OUT)/tests/fuzz/replay_dns_answer: $(TRIAL)

unit: $(UNIT) ## unit tests: no network, no sleeping
	@CMOCKA_MESSAGE_OUTPUT=TAP prove --exec '' $(UNIT)
# Every scenario once at a size that shows it, everything at once by some seeds, and large pools
# (their cost grows with the square: SIM_MANY=1000 SIM_GIANT=2001 takes minutes).
SIM_SEEDS = $(if $(filter release,$(BUILD)),40,8)
SIM_MANY ?= $(if $(filter release,$(BUILD)),500,200)
SIM_GIANT ?= $(if $(filter release,$(BUILD)),1001,201)
STORE_SEEDS = $(if $(filter release,$(BUILD)),400,40)
KEEPER_SEEDS = $(if $(filter release,$(BUILD)),400,40)
SIM_ALL = $$($(SIM_BIN) --list | cut -d' ' -f1)
sim: $(SIM) $(SIM_BIN) $(STORE_SIM) $(KEEPER_SIM) ## simulation tests: many agents, virtual clock and network
	@CMOCKA_MESSAGE_OUTPUT=TAP prove --exec '' $(SIM)
	@set -e; for s in $(SIM_ALL); do echo "$$s"; \
	    $(SIM_BIN) --scenario $$s --nodes 10 --minutes 90s >$(OUT)/sim.out || \
	    { cat $(OUT)/sim.out; exit 1; }; done
	$(SIM_BIN) --scenario mixed --nodes 20 --seeds 1-$(SIM_SEEDS) --mode struct --jobs 2
	$(SIM_BIN) --scenario crash --nodes $(SIM_MANY) --minutes 5s --mode struct --no-catalogs
	$(SIM_BIN) --scenario idle --nodes $(SIM_GIANT) --minutes 2s --mode struct --no-catalogs
	$(STORE_SIM) --seeds 1-$(STORE_SEEDS)
	$(KEEPER_SIM) --seeds 1-$(KEEPER_SEEDS)
# The same seeds give the same runs whatever compiled them: make sim-same OTHER=build/clang
sim-same: $(SIM_BIN) ## two builds of the simulator must agree to the last event
	@test -x $(OTHER)/rollcall-sim
	@set -e; for s in mixed churn crash loss-20; do for b in $(OUT) $(OTHER); do \
	    $$b/rollcall-sim --scenario $$s --nodes 15 --minutes 60s --seed 5 | \
	    sed -n 's/.*, digest //p'; done | uniq | wc -l | grep -qx 1 || \
	    { echo "$$s differs"; exit 1; }; echo "$$s agrees"; done
# Stop it when you like: seeds that passed are left out next time.
SEEDS ?= 10000
sim-soak: $(SIM_BIN) ## everything at once at 20 nodes: SEEDS=10000, hours; goes on where it was stopped
	$(SIM_BIN) --scenario mixed --nodes 20 --seeds 1-$(SEEDS) --mode struct --jobs $(shell nproc) \
	    --done $(OUT)/sim-soak.done
store-soak: $(STORE_SIM) ## the store's rules under faults, linearizable?: SEEDS=10000, minutes
	$(STORE_SIM) --seeds 1-$(SEEDS)
keeper-soak: $(KEEPER_SIM) ## PostgreSQL clusters under faults: one primary, nothing lost, back in order?: SEEDS=10000, minutes
	$(KEEPER_SIM) --seeds 1-$(SEEDS)
replay: $(REPLAY) ## run every committed fuzz corpus
	@set -e; for r in $(REPLAY); do $$r tests/fuzz/corpus/$${r##*/replay_}/*; done
fuzz: $(FUZZ) ## build the fuzzers: make fuzz CC=clang BUILD=fuzz

vagrant-lxc: $(BINS) ## a day with the lab on containers, in a network of its own: up, browser, stop, reboot, web3, halt, IPv6, destroy (root; 20 minutes)
	scripts/install-deps vagrant chromium test
	VAGRANT_HOME=$(CURDIR)/build/vagrant/home scripts/vagrant-lxc box # it needs Debian's mirror, and the day has no way out
	tests/vagrant/apart $(PYTEST) -s -rs --durations=30 tests/vagrant

STORE_ROUNDS ?= 500
STORE_SEED ?= 1
store-crash: $(STORE_BIN) ## kill a store on SQLite STORE_ROUNDS=500 times, cut its power, fail and fill its disk (root)
	rm -rf $(OUT)/store && mkdir -p $(OUT)/store/small
	$(STORE_BIN) kill $(OUT)/store/kill $(STORE_ROUNDS) $(STORE_SEED)
	$(STORE_BIN) power $(OUT)/store/power $(STORE_ROUNDS) $(STORE_SEED)
	$(STORE_BIN) faults $(OUT)/store/faults
	$(STORE_BIN) memory $(OUT)/store/memory
	unshare -m sh -c 'mount -t tmpfs -o size=6m none $(OUT)/store/small && \
	    $(STORE_BIN) full $(OUT)/store/small/store'
STORE_KILLS ?= 500
store-kill: $(BINS) ## kill a server agent STORE_KILLS=500 times while clients write by HTTP (root)
	ROLLCALL_BUILD=$(BUILD) STORE_KILLS=$(STORE_KILLS) STORE_SEED=$(STORE_SEED) \
	    /usr/bin/python3 -B tests/interop/store_kill.py
store-figures: $(STORE_BIN) ## commits a second of a store on SQLite, here and on a disk that syncs in 0.2 ms
	rm -rf $(OUT)/store && mkdir -p $(OUT)/store
	$(STORE_BIN) bench $(OUT)/store/bench
	@f=$$(mktemp -d /dev/shm/store.XXXXXX) && $(STORE_BIN) bench $$f/store 200; rm -rf $$f

ui-unit: ## what the status page makes of the API, without a browser: node
	node --test tests/ui/model_*.mjs
ui: $(BINS) ## the status page in Chromium: a lab, every page in every form, axe; pictures in build/ui (root; npm)
	command -v npm >/dev/null || scripts/install-deps ui
	command -v chromium >/dev/null || scripts/install-deps chromium
	cd tests/ui && npm ci --no-audit --no-fund --ignore-scripts
	ROLLCALL_BUILD=$(BUILD) /usr/bin/python3 -B tests/ui/drive.py
lab: ## a five-node lab on this machine, from nothing (root); STORE=sqlite: without etcd
	scripts/install-deps run build lab
	$(MAKE) all
	scripts/lab --build $(BUILD) $(if $(STORE),--store $(STORE)) up
check: ## every test, from nothing (root for the lab): what is missing is installed
	scripts/install-deps run build test
	$(MAKE) tests
tests: ## every test, one kind after the other
	$(MAKE) all $(UNIT) $(SIM) $(SIM_BIN) $(STORE_BIN) $(STORE_SIM) $(KEEPER_SIM) $(REPLAY)
	$(MAKE) unit
	$(MAKE) ui-unit
	$(MAKE) sim
	$(MAKE) replay
	$(MAKE) integration
# Tests that wait for most of their time have been waited for once: SLOW=1 does it for the sanitizers too.
WHICH = $(if $(filter asan,$(BUILD)),$(if $(SLOW),,-m 'not slow'))
# SIDE files of tests at a time, each in a network of its own, for they wait more than they work:
# with the sanitizers less so.
SIDE ?= $(if $(filter asan,$(BUILD)),4,6)
# Those of the proxy work more than they wait, and would starve the others.
PROXY_SIDE ?= $(if $(filter asan,$(BUILD)),3,4)
# No test takes longer than LONGEST seconds: one that hangs is ended, and named.
LONGEST ?= 300
SIDE_BY_SIDE = ROLLCALL_BUILD=$(BUILD) /usr/bin/python3 -B tests/second_look.py $(PYTEST) --dist loadgroup --timeout $(LONGEST) \
    --durations=15 -rs $(WHICH)
integration: $(BINS) $(STORE_BIN) $(DRIVE) $(DNS_LOAD) $(PROXY_LOAD) $(VERDICT) ## the real programs against real peers: serf, dig, PostgreSQL, etcd, the lab (root)
	$(SIDE_BY_SIDE) -n $(SIDE) --ignore-glob='*/test_proxy_*' -- tests/lab tests/interop
	$(SIDE_BY_SIDE) -n $(PROXY_SIDE) -- tests/interop/test_proxy_*.py
churn: $(BINS) ## CHURN_SECONDS=600 of churn by CHURN_SEED in a pool of serf and rollcall (root)
	ROLLCALL_BUILD=$(BUILD) /usr/bin/python3 -B tests/interop/churn.py
KILLS ?= 500
etcd-crash: $(DRIVE) ## kill -9 of etcd's members at KILLS=500 moments: nothing acknowledged is lost
	ETCD_KILLS=$(KILLS) ROLLCALL_BUILD=$(BUILD) $(PYTEST) -s tests/interop/test_etcd.py -k killed
OPS ?= 100000
store-history: $(BINS) ## OPS=100000 operations on a store whose server is killed and stopped: linearizable?
	ROLLCALL_BUILD=$(BUILD) /usr/bin/python3 -B tests/interop/test_store_history.py --ops $(OPS)
	ROLLCALL_BUILD=$(BUILD) /usr/bin/python3 -B tests/interop/test_store_history.py --ops $(OPS) --etcd
store-partitions: $(BINS) ## the same with cut, deaf, lossy and slow wires between the hosts: OPS=100000 STORE=etcd|sqlite (root)
	ROLLCALL_BUILD=$(BUILD) unshare -n /usr/bin/python3 -B tests/interop/test_store_history.py --wires --ops $(OPS) \
	    $(if $(filter sqlite,$(STORE)),,--etcd) $(if $(SEED),--seed $(SEED))
etcd-figures: $(BINS) $(DRIVE) ## the store on three etcd members beside etcd's own gateway (wants wrk): printed, not judged
	ROLLCALL_BUILD=$(BUILD) /usr/bin/python3 -B tests/interop/etcd_figures.py
SERVICES ?= 1000
template-figures: $(BINS) ## a file of SERVICES=1000 services of ten: time, CPU and memory of rollcall template (root): printed, not judged
	ROLLCALL_BUILD=$(BUILD) unshare -n sh -c \
	    'ip link set lo up && exec /usr/bin/python3 -B tests/reaper.py /usr/bin/python3 -B tests/interop/template_figures.py $(SERVICES)'
.PHONY: template-figures
DNS_QUESTIONS ?= 10000
DNS_SEEDS ?= 1 2 3 4 5
dns-differential: $(BINS) ## DNS_QUESTIONS=10000 random questions to rollcall and Knot, for each of DNS_SEEDS="1 2 3 4 5" (root)
	@set -e; for s in $(DNS_SEEDS); do DNS_SEED=$$s DNS_QUESTIONS=$(DNS_QUESTIONS) ROLLCALL_BUILD=$(BUILD) \
	    $(PYTEST) -q -s --timeout 900 tests/interop/test_dns_knot.py; done
HEADS ?= 1000000
proxy-differential: $(VERDICT) ## HEADS=1000000 generated requests to our parser, h11 and llhttp: is every difference explained?
	ROLLCALL_BUILD=$(BUILD) /usr/bin/python3 -B tests/interop/proxy_differential.py --heads $(HEADS)
proxy-smuggling: $(BINS) ## what rollcall-proxy, nginx and HAProxy do with requests of two readings: writes the table
	ROLLCALL_BUILD=$(BUILD) /usr/bin/python3 -B tests/interop/smuggling_table.py --write
QUERIES ?= 5000
http-figures: $(BINS) $(HOLD) ## QUERIES=5000 blocking queries: memory, time to wake them; reads (root, wants wrk): printed, not judged
	QUERIES=$(QUERIES) ROLLCALL_BUILD=$(BUILD) unshare -n sh -c \
	    'ip link set lo up && exec /usr/bin/python3 -B tests/interop/http_figures.py'
dns-bench: $(DNS_BENCH) $(DNS_FEED_BENCH) ## what answers of the DNS server cost, in ns of CPU without sockets, and its view of the catalog: printed, not judged
	$(DNS_BENCH)
	$(DNS_FEED_BENCH)
ROUNDS ?= 3
dns-forward-figures: $(BINS) ## forwarding of other domains beside dnsmasq and unbound, all asking one NSD, ROUNDS=3 (root): printed, not judged
	ROLLCALL_BUILD=$(BUILD) unshare -n sh -c \
	    'ip link set lo up && exec /usr/bin/python3 -B tests/interop/dns_forward_figures.py --rounds $(ROUNDS)'
dns-figures: $(BINS) $(DNS_LOAD) $(DNS_ECHO) ## the DNS server beside NSD, Knot, unbound, dnsmasq and an echo, ROUNDS=3 PARTS="answers tcp" WORKERS=1 (root): printed, not judged
	ROUNDS=$(ROUNDS) WORKERS=$(or $(WORKERS),1) ROLLCALL_BUILD=$(BUILD) unshare -n sh -c \
	    'ip link set lo up && exec /usr/bin/python3 -B tests/reaper.py /usr/bin/python3 -B tests/interop/dns_figures.py $(PARTS)'
PROXY_LARGE ?= 6
proxy-large: $(BINS) $(PROXY_LOAD) ## bodies of PROXY_LARGE=6 GiB up and down: every byte looked at, memory watched (root)
	PROXY_LARGE=$(PROXY_LARGE) ROLLCALL_BUILD=$(BUILD) $(PYTEST) -s --timeout $(LONGEST) tests/interop/test_proxy_bulk.py -k large_bodies
proxy-figures: $(BINS) $(PROXY_LOAD) ## the proxy beside nginx, HAProxy and a bare forwarder, ROUNDS=3 PARTS="http bulk memory pg change" (root; wants wrk): printed, not judged
	ROUNDS=$(ROUNDS) ROLLCALL_BUILD=$(BUILD) unshare -n sh -c \
	    'ip link set lo up && exec /usr/bin/python3 -B tests/reaper.py /usr/bin/python3 -B tests/interop/proxy_figures.py $(PARTS)'
STEADY ?= 300
dns-overload: $(BINS) $(DNS_LOAD) ## floods of DNS, and twice what an agent sustains for STEADY=300 seconds, PARTS="floods steady" (root): printed, not judged
	STEADY=$(STEADY) ROLLCALL_BUILD=$(BUILD) unshare -n sh -c \
	    'ip link set lo up && exec /usr/bin/python3 -B tests/reaper.py /usr/bin/python3 -B tests/interop/dns_overload.py $(PARTS)'
SECONDS_LONG ?= 600
lock-safety: $(BINS) ## five workers and one lock for SECONDS_LONG=600 under faults (root): is its holder alone? STORE=etcd|sqlite
	unshare -n /usr/bin/python3 -B tests/interop/test_lock_safety.py --seconds $(SECONDS_LONG) --workers 5 \
	    --store $(or $(STORE),sqlite) $(if $(SEED),--seed $(SEED)) $(OUT)/rollcall
pg-matrix: $(BINS) $(CLOCKED) ## every fault of PostgreSQL under keepers, with a writer that knows what it was told (root); PG_TALLY=file: a line a run
	PG_MATRIX=1 ROLLCALL_BUILD=$(BUILD) $(PYTEST) -s tests/interop/test_pg_matrix.py tests/interop/test_pg_three.py tests/interop/test_pg_disk.py tests/interop/test_pg_clock.py \
	    tests/interop/test_pg_strict.py tests/interop/test_pg_view.py tests/interop/test_patroni.py
DEPLOYS ?= 10
RATE ?= 500
proxy-deploy: $(BINS) ## DEPLOYS=10 rolling restarts of three web applications in four forms under RATE=500 requests/s (root): what failed, what was done twice
	ROLLCALL_BUILD=$(BUILD) $(PYTHON) tests/interop/test_proxy_deploy.py $(DEPLOYS) $(RATE)
MINUTES ?= 60
proxy-soak: $(BINS) ## MINUTES=60 of load and churn through rollcall-proxy (root): what failed, memory, descriptors
	ROLLCALL_BUILD=$(BUILD) $(PYTHON) tests/interop/proxy_soak.py $(MINUTES)
proxy-tsan: ## load, reloads, upgrades and a catalog that changes, for a minute, with the thread sanitizer (root)
	$(MAKE) all && $(MAKE) BUILD=tsan build/tsan/rollcall-proxy
	TSAN_OPTIONS=suppressions=$(CURDIR)/tests/tsan.supp ROLLCALL_PROXY=build/tsan/rollcall-proxy $(PYTHON) tests/interop/proxy_soak.py 1 60 restless
DEMO_SECONDS ?= 300
proxy-demo: $(BINS) ## two tiers that fail, crash and are killed at random for DEMO_SECONDS=300, whole at the client (root)
	ROLLCALL_BUILD=$(BUILD) $(PYTHON) tests/interop/proxy_demo.py $(DEMO_SECONDS)
.PHONY: proxy-deploy proxy-soak proxy-demo proxy-tsan
PG_ROUNDS ?= 20
pg-figures: $(BINS) ## for how long nobody can write when the primary goes, PG_ROUNDS=20 of each kind (root): printed, not judged
	ROLLCALL_BUILD=$(BUILD) /usr/bin/python3 -B tests/interop/pg_figures.py $(PG_ROUNDS)
figures: ## how fast the lab reacts and how little it takes (root): printed, not judged
	$(MAKE) all
	ROLLCALL_BUILD=$(BUILD) /usr/bin/python3 -B tests/lab/figures.py

lint: $(BINS) ## formatting, layers, symbols, headers that stand alone, clang-tidy, cppcheck, shellcheck
	clang-format --dry-run -Werror $(ALL_CH)
	scripts/check-layers.sh
	scripts/check-symbols.sh $(OUT)
	@set -e; for h in $(filter %.h,$(ALL_CH)); do \
	    printf '#include "%s"\n#include "%s"\n' $$h $$h | \
	    $(CC) -std=c11 $(CPPFLAGS) -Werror -fsyntax-only -x c -; done
	printf '%s\n' $(ALL_C) | xargs -P 2 -n 1 sh -c \
	    'clang-tidy --quiet "$$@" -- -std=c11 $(CPPFLAGS) 2>/dev/null' lint
	shellcheck scripts/install-deps scripts/apt-repository scripts/completion/rollcall.bash scripts/debian/*.post* scripts/debian/*.prerm scripts/check-layers.sh scripts/check-symbols.sh vagrant/provision vagrant/steps.sh $(filter-out %.md,$(wildcard vagrant/roles/*)) vagrant/weekly/rollcall-once vagrant/backup/rollcall-backup scripts/vagrant-lxc tests/vagrant/apart .ci/run
	cppcheck --quiet --std=c11 --enable=warning,performance,portability \
	    --inline-suppr --error-exitcode=1 -I. $(ALL_C)
format: ## rewrite the sources in house style
	clang-format -i $(ALL_CH)
UNITS ?= $(PREFIX)/lib/systemd/system
ZSH_COMPLETIONS ?= $(PREFIX)/share/zsh/site-functions
SHARE = $(DESTDIR)$(PREFIX)/share
install: $(BINS) ## programs, manual pages, units and completion into $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 0755 $(BINS) $(DESTDIR)$(PREFIX)/bin
	install -d $(SHARE)/man/man1 $(SHARE)/man/man7
	install -m 0644 agent/rollcall.1 proxy/rollcall-proxy.1 $(SHARE)/man/man1
	install -m 0644 agent/rollcall-dns.7 agent/rollcall-template.7 $(SHARE)/man/man7
	install -d $(DESTDIR)$(UNITS) $(DESTDIR)$(PREFIX)/lib/sysusers.d
	@set -e; for unit in agent/*.service proxy/*.service; do echo "  UNIT $$unit"; \
	    sed 's|=/usr/bin/|=$(PREFIX)/bin/|' "$$unit" >"$(DESTDIR)$(UNITS)/$${unit##*/}"; done
	install -m 0644 agent/rollcall.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/rollcall.conf
	install -m 0644 proxy/rollcall-proxy.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/rollcall-proxy.conf
	install -d $(SHARE)/bash-completion/completions $(DESTDIR)$(ZSH_COMPLETIONS)
	@set -e; for program in rollcall rollcall-proxy; do echo "  COMPLETION $$program"; \
	    install -m 0644 scripts/completion/rollcall.bash $(SHARE)/bash-completion/completions/$$program; \
	    install -m 0644 scripts/completion/rollcall.zsh $(DESTDIR)$(ZSH_COMPLETIONS)/_$$program; done
.PHONY: deb deb-test
DEB ?= build/deb
# For a package of another version from the same sources: DEB_SUFFIX=~rc1, or +1.
DEB_VERSION = $(shell sed -n 's/.*ROLLCALL_VERSION "\(.*\)"/\1/p' base/version.h)$(DEB_SUFFIX)
deb: ## Debian packages of both programs into DEB=build/deb
	@command -v dh >/dev/null || { echo "debhelper is missing: scripts/install-deps build deb" >&2; exit 1; }
	mkdir -p $(DEB)/tree/tests
	cd $(DEB)/tree && rm -rf debian base dns agent proxy scripts
	cp -a Makefile CHANGELOG.md base dns agent proxy scripts $(DEB)/tree
	cp -a scripts/debian $(DEB)/tree/debian
	printf 'rollcall (%s) unstable; urgency=medium\n\n  * CHANGELOG.md tells what is new.\n\n -- %s  %s\n' '$(DEB_VERSION)' \
	    "$$(sed -n 's/^Maintainer: //p' scripts/debian/control)" "$$(date -R -r CHANGELOG.md)" >$(DEB)/tree/debian/changelog
	rm -f $(DEB)/*.deb
	cd $(DEB)/tree && env -u MAKEFLAGS -u MAKELEVEL -u BUILD -u WERROR DEB_BUILD_OPTIONS="nocheck noautodbgsym parallel=$$(nproc)" \
	    dpkg-buildpackage --no-sign --build=binary --no-pre-clean --no-check-builddeps
deb-test: deb ## packages: lintian, and a machine that installs, upgrades under load, removes and purges them (root; scripts/install-deps deb)
	lintian --fail-on error,warning $(DEB)/*.deb
	$(PYTEST) -s --timeout 600 tests/packages
clean: ## remove build/
	rm -rf build
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile

.PHONY: all vagrant-lxc ui ui-unit dns-bench dns-differential dns-forward-figures unit sim store-crash store-kill store-figures sim-same sim-soak store-soak replay fuzz lab check tests integration churn etcd-crash etcd-figures store-history store-partitions http-figures dns-figures dns-overload proxy-figures proxy-large proxy-differential proxy-smuggling lock-safety pg-matrix pg-figures figures lint format install clean help
.SECONDARY:
-include $(patsubst %.c,$(OUT)/%.d,$(ALL_C))
