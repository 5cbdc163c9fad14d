# shellcheck shell=sh
# Usage: . vagrant/steps.sh      (by the roles)
#
# What roles are made of: each step looks first, changes only what differs, and says so.

# Set once a file of this role has changed.
changed=''

# put SOURCE TARGET [MODE [USER:GROUP]]: TARGET is as SOURCE.
put() {
    put_mode=${3:-644} put_owner=${4:-root:root}
    if [ "$(stat -c '%a %U:%G' "$2" 2>/dev/null)" = "$put_mode $put_owner" ] && cmp -s "$1" "$2"; then
        return 0
    fi
    mkdir -p "$(dirname "$2")"
    install -m "0$put_mode" -o "${put_owner%:*}" -g "${put_owner#*:}" "$1" "$2.new"
    mv -f "$2.new" "$2"
    changed=yes
    echo "    $2"
}

# put_text TARGET [MODE [USER:GROUP]]: the same from standard input; from a pipe it cannot set $changed.
put_text() {
    put_from=$(mktemp)
    cat >"$put_from"
    put "$put_from" "$@"
    rm -f "$put_from"
}

# unit UNIT [reload | keep]: enabled and running; if a file has changed started again, or told to read its configuration, or
# left alone.
unit() {
    if [ -n "$changed" ]; then
        systemctl daemon-reload
    fi
    systemctl is-enabled -q "$1" 2>/dev/null || systemctl enable -q "$1"
    if ! systemctl is-active -q "$1"; then
        systemctl start "$1"
    elif [ -n "$changed" ] && [ "${2:-}" != keep ]; then
        systemctl "${2:-restart}" "$1"
    fi
}

# wait_for SECONDS WHAT COMMAND...: until COMMAND is true; an error that names WHAT after SECONDS.
wait_for() {
    wait_seconds=$1 wait_what=$2
    shift 2
    wait_end=$(($(date +%s) + wait_seconds))
    until "$@" >/dev/null 2>&1; do
        if [ "$(date +%s)" -ge "$wait_end" ]; then
            echo "$(basename "$0"): waited $wait_seconds s in vain until $wait_what" >&2
            return 1
        fi
        sleep 0.2
    done
}
