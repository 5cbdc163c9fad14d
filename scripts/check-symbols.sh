#!/bin/sh
# Usage: scripts/check-symbols.sh [FOLDER]
#
# Fails when a global symbol is defined twice in the archives of a build (build/release unless told):
# the linker takes whichever it meets first and says nothing. And when a program needs libm,
# which costs every agent memory, or has a weak definition, which another one silently replaces.
set -eu
cd "$(dirname "$0")/.."
out=${1:-build/release}
bad=0
for archive in libshared.a libagent.a libproxy.a; do
    [ -f "$out/$archive" ] || { echo "$out/$archive: build it first" >&2; exit 1; }
done
for kind in 'TDBRVC defined twice' 'W weak'; do
    found=$(nm -A --defined-only "$out/libshared.a" "$out/libagent.a" "$out/libproxy.a" 2>/dev/null |
        awk -v kinds="${kind%% *}" -v said="${kind#* }" '
            NF == 3 && index(kinds, $2) && ++seen[$3] == (kinds == "W" ? 1 : 2) { print $3 ": " said }' | sort)
    [ -z "$found" ] || { printf '%s\n' "$found"; bad=1; }
done
for program in rollcall rollcall-proxy; do
    if objdump -p "$out/$program" | grep -q 'NEEDED *libm\.so'; then
        echo "$out/$program: needs libm"
        bad=1
    fi
done
exit "$bad"
