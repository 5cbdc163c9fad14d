# shellcheck shell=bash
# Completion of rollcall and rollcall-proxy for bash. What can be said is asked of the program's own -help, each time.

# What may stand next by the usage lines on standard input, behind the words given: rollcall pg status|members [flags].
_rollcall_next() {
    local line word token at
    local -a form
    while read -r line; do
        read -r -a form <<<"${line#[Uu]sage: }"
        at=0
        for word in "$@"; do
            token=${form[at]:-}
            [[ $token == [A-Z]* || "|$token|" == *"|$word|"* ]] || continue 2
            at=$((at + 1))
        done
        token=${form[at]:-}
        [[ $token =~ ^[a-z-]+(\|[a-z-]+)*$ && $token != -* ]] && echo "${token//|/ }"
    done
}

_rollcall() {
    local program=$1 word=$2 before=$3 flags=${COMP_CWORD} help value at
    for ((at = COMP_CWORD - 1; at > 0; at--)); do
        [[ ${COMP_WORDS[at]} != -* ]] || flags=$at # the first one
    done
    local -a words=("${COMP_WORDS[@]:1:flags-1}")
    help=$("$program" "${words[@]:0:1}" -help 2>/dev/null)

    COMPREPLY=()
    [[ $before != = ]] || before=${COMP_WORDS[COMP_CWORD - 2]}
    if [[ $before == -* ]]; then
        before=${before#-}
        value=$(sed -n "s/^  -${before#-}[= ]\(['A-Z][^ ]*\).*/\1/p" <<<"$help")
        if [[ $value == @(FILE|FOLDER|PATH|VALUE) ]]; then
            mapfile -t COMPREPLY < <(compgen -f -- "${word#=}")
        fi
        [[ -z $value ]] || return # what only people know
    fi
    if [[ $word == -* ]]; then
        value=$(sed -n 's/^  \(-[a-z][a-z0-9-]*\).*/\1/p' <<<"$help")
    elif [[ ${#words[@]} == 0 ]]; then
        value=$(sed -n 's/^  \([a-z][a-z-]*\)  *[^ ].*/\1/p' <<<"$help")
    else
        value=$(_rollcall_next "${program##*/}" "${words[@]}" <<<"$help")
        [[ -n $value ]] || mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
    [[ -z $value ]] || mapfile -t COMPREPLY < <(compgen -W "$value" -- "$word" | sort -u)
}

complete -o filenames -F _rollcall rollcall rollcall-proxy
