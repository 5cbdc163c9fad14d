#!/bin/bash
# Known mistakes, planted into copies of the keeper one at a time, and the seed that finds each.
# usage: tests/sim/keeper_plants.sh [-s LAST] [NAME...]   (after make build/release/rollcall-keeper-sim)
#   -s LAST  seeds 1 to LAST are tried until one fails (2000)
# Prints a line for each; ends with 1 when one that should be found was not. What it builds is
# thrown away; the tree stays as it is.
set -u

# name | file of agent/keeper | what sed does to it | found, or why it cannot matter
plants() {
    cat <<'END'
renewal not sent|keeper_lease.c|s,    if (k->now_ms < k->next_renew_ms ||,    if (k->term != 0 || k->now_ms < k->next_renew_ms ||,|found
renewed when it is sent|keeper_lease.c|s/k->next_renew_ms = k->now_ms + k->options.renew_ms;/& k->renewed_ms = k->now_ms;/|found
renewed when it is answered|keeper_lease.c|s/k->renewed_ms = slot->sent_ms > .*/k->renewed_ms = k->now_ms;/|found
no guard before the lease ends|keeper_lease.c|s/return part_ms > GUARD_LEAST_MS.*/return 0;/|not yet: README.md
the lease is believed in for too long|keeper_lease.c|s,k->renewed_ms + ttl_ms(k) - guard_ms(k);,k->renewed_ms + ttl_ms(k) + guard_ms(k);,|found
the warden's deadline from now|keeper_lease.c|s,k->renewed_ms + ttl_ms(k) - guard_ms(k);,k->now_ms + ttl_ms(k) - guard_ms(k);,|found
names before the record|quorum.c|s/bool is_covered = /&true || /|found
settle time left out|keeper_sync.c|s/if (k->now_ms - k->set_ms < KEEPER_SETTLE_MS)/if (false)/|found
caught up without waiting|keeper_sync.c|s/^    if (k->now_ms - k->set_ms < KEEPER_SETTLE_MS)/    k->is_caught_up = true;\n&/|found
frozen without detaching|keeper_elect.c|s/} else if (freeze(k) /} else if ((k->frozen = k->top_term) != 0 /|found
an old promise counts|candidate.c|s/r->frozen >= c->view->sync.term/true/|not yet: README.md
the promise is forgotten|keeper_standby.c|s/ || term <= k->frozen//|a second lock: README.md
an unsure write was not done|keeper_ask.c|s/k->sync_is_unsure = true;/k->sync_is_unsure = false;/|not yet: README.md
an unsure write was done|keeper_ask.c|s/if (answer->end == KEEPER_DONE \&\& is_session)/if ((answer->end == KEEPER_DONE || answer->end == KEEPER_UNKNOWN) \&\& is_session)/|not yet: README.md
a late answer undoes the view|keeper_ask.c|s/if (is_seen)/if (false)/|not yet: README.md
sync is not compared|keeper_elect.c|/(void)keeper_ask_op(/,/sync_at.index);/d|a second lock: README.md
neither sync nor state is compared|keeper_elect.c|/(void)keeper_ask_op(/,/sync_at.index);/d;s/keeper_ask_state(k, r, &state);//|found
timelines left out of the votes|candidate.c|s/return a->tli != b->tli ? a->tli > b->tli : a->lsn >= b->lsn;/return a->lsn >= b->lsn;/|a second lock: README.md
timelines left out of a clean stop|candidate.c|s/return state->clean && (r->record->tli != state->tli ? r->record->tli > state->tli/return state->clean \&\& (false ? false/|found
histories are not compared|keeper_standby.c|s/return lsn <= history->forks\[i\].end_lsn;/return true;/|not yet: README.md
one vote is enough|candidate.c|s/return votes >= sync->quorum;/return votes >= 1;/|found
END
}

cd "$(dirname "$0")/../.." || exit 2
last=2000
[ "${1:-}" != -s ] || { last=$2; shift 2; }
out=build/release
[ -x "$out/rollcall-keeper-sim" ] || { echo "first: make $out/rollcall-keeper-sim" >&2; exit 2; }
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT
status=0

plant() { # file, what sed does
    sed "$2" "agent/keeper/$1" >"$scratch/$1"
    ! cmp -s "agent/keeper/$1" "$scratch/$1" || { echo "nothing to plant it in"; return 1; }
    cc -std=c11 -O2 -D_GNU_SOURCE -I. -c "$scratch/$1" -o "$scratch/planted.o" || return 1
    local objects=()
    for object in "$out"/agent/keeper/*.o; do
        [ "${object##*/}" = "${1%.c}.o" ] || objects+=("$object")
    done
    cc -pie -Wl,--as-needed "$scratch/planted.o" "${objects[@]}" "$out"/tests/sim/keeper_sim*.o \
        "$out/tests/sim/rollcall_keeper_sim.o" "$out/libshared.a" \
        $(pkg-config --libs jansson libuv) -lm -o "$scratch/sim" 2>"$scratch/errors" ||
        { cat "$scratch/errors"; return 1; }
}

while IFS= read -r line; do
    name=${line%%|*} rest=${line#*|}
    file=${rest%%|*} rest=${rest#*|}
    change=${rest%|*} want=${rest##*|}
    [ $# -eq 0 ] || printf '%s\n' "$@" | grep -qxF "$name" || continue
    if ! plant "$file" "$change"; then
        echo "$name: could not be planted"
        status=1
        continue
    fi
    found=$("$scratch/sim" --seeds "1-$last" --until-found | head -1)
    case $found in
    seed*) echo "$name: $found" ;;
    *) echo "$name: not found in seeds 1-$last ($want)"
       [ "$want" != found ] || status=1 ;;
    esac
done < <(plants)
exit $status
