#compdef rollcall rollcall-proxy
# Completion of rollcall and rollcall-proxy for zsh. What can be said is asked of the program's own -help, each time.

# What may stand next by the usage lines, behind the words given: rollcall pg status|members [flags].
_rollcall_next() {
    local line word token
    local -a form
    local -i at
    for line in "${help[@]}"; do
        form=(${=line#[Uu]sage: })
        at=1
        for word in "$@"; do
            token=$form[at]
            [[ $token == [A-Z]* || "|$token|" == *"|$word|"* ]] || continue 2
            at+=1
        done
        token=$form[at]
        [[ $token == -* || -z $token || -n ${token//[a-z|-]/} ]] || next+=(${(s:|:)token})
    done
}

_rollcall() {
    local program=$words[1] word=$words[CURRENT] before=$words[CURRENT-1] line value
    local -a said=(${words[2,CURRENT-1]}) help next
    local -i flags=${said[(i)-*]}
    said=(${said[1,flags-1]})
    help=(${(f)"$(_call_program help $program $said[1] -help)"})

    if [[ $before == -* ]]; then
        value=${${help[(r)  -${before##-#}[= ][\'A-Z]*]}##  -[^= ]#[= ]}
        case ${value%% *} in
        FILE|FOLDER|PATH|VALUE) _files; return ;;
        ?*) _message "${value%% *}"; return ;;
        esac
    fi
    if [[ $word == -* ]]; then
        for line in ${(M)help:#  -*}; do
            next+=("${${line#  }%%[= ]*}:${line##*  }")
        done
        _describe -o flag next
    elif (( ! $#said )); then
        for line in ${(M)help:#  [a-z]*}; do
            next+=("${${line#  }%% *}:${line##*  }")
        done
        _describe command next
    else
        _rollcall_next ${program:t} $said
        if (( $#next )); then
            compadd -- ${(u)next}
        else
            _files
        fi
    fi
}

setopt localoptions extendedglob
_rollcall "$@"
