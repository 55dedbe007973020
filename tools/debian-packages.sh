#!/usr/bin/env bash
# Installs the named Debian packages that are missing: as root, through sudo, or not at all but with one clear line.
set -euo pipefail

missing=()
for package in "$@"; do
    if ! dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed; then
        missing+=("$package")
    fi
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "not a Debian machine: what these packages hold may be missing: ${missing[*]}" >&2
    exit 0
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root=()
elif sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
else
    echo "missing, and only root may install them: apt-get install ${missing[*]}" >&2
    exit 0
fi
echo "installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
    # env: sudo drops the caller's variables.
    "${as_root[@]}" apt-get -q update >"$log" 2>&1 </dev/null &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install \
            "${missing[@]}" >>"$log" 2>&1 </dev/null
}
if ! install; then
    tail -n 20 "$log" >&2
    echo "apt-get could not install ${missing[*]}" >&2
    exit 1
fi
