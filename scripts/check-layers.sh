#!/bin/sh
# Usage: scripts/check-layers.sh
#
# Fails when a file includes a header that its folder may not see (scripts/layers.txt),
# or when a library that touches the outside world is used outside the files named after it.
set -eu
cd "$(dirname "$0")/.."
find base dns agent proxy tests -name '*.[ch]' | sort | awk '
    BEGIN {
        while ((getline line < "scripts/layers.txt") > 0) {
            count = split(line, word, /[ \t]+/)
            if (count == 0 || word[1] == "" || word[1] ~ /^#/) continue
            known[word[1]] = 1
            for (i = 1; i <= count; i++) allowed[word[1], word[i]] = 1
        }
        # header -> the ending of the file names that may use it
        edge["uv.h"] = "_uv"; edge["ares.h"] = "_ares"; edge["sodium.h"] = "_sodium"
        edge["msgpack.h"] = "_msgpack"; edge["microhttpd.h"] = "_mhd"
        edge["libpq-fe.h"] = "_pq"; edge["curl/curl.h"] = "_curl"
        edge["sqlite3.h"] = "_sqlite"; edge["nghttp2/nghttp2.h"] = "_nghttp2"
        edge["pcre2.h"] = "_pcre2"
    }
    function folder_of(path) { # the longest listed folder above the file
        while (sub(/\/[^\/]*$/, "", path)) if (path in known) return path
        return "?"
    }
    function fault(text) { printf "%s:%d: %s\n", file, row, text; bad = 1 }
    {
        file = $0; row = 0; from = folder_of(file)
        if (from == "?") fault("folder is not in scripts/layers.txt")
        while ((getline line < file) > 0) {
            row++
            if (line ~ /^#include "/) {
                split(line, part, "\""); to = folder_of(part[2])
                if (to == "?") fault("include by path from the root: " part[2])
                else if (!((from, to) in allowed)) fault(from " may not include " to)
            } else if (line ~ /^#include </) {
                split(line, part, /[<>]/); ending = edge[part[2]]
                if (part[2] ~ /^openssl\//) ending = "_openssl"
                if (part[2] ~ /^systemd\//) ending = "_systemd"
                if (ending != "" && from != "tests" && file !~ ending "\\.[ch]$")
                    fault("<" part[2] "> belongs in a *" ending " file")
            }
        }
        close(file)
    }
    END { exit bad }'
