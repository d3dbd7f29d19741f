#!/bin/sh
# Makes sure that each of the programs named is on the PATH, and prints its path: redis (a redis-server of version 7.0 or newer),
# promtool, openssl, nginx, nats (a nats-server), chromium. Debian's package is installed when this runs as root; services of it are not started.
set -u

give_up() {
  echo "ensure: $1" >&2
  echo "ensure: install $what so that $program is on the PATH, then run this again" >&2
  exit 1
}

major() {
  redis-server --version 2>/dev/null | sed -n 's/.*v=\([0-9]*\)\..*/\1/p'
}

find_one() {
  for name in $names; do
    [ "$name" != redis-server ] || [ "$(major || true)" -ge 7 ] 2>/dev/null || continue
    command -v "$name" && return 0
  done
  return 1
}

install_one() {
  command -v apt-get >/dev/null 2>&1 || give_up "there is no $program on the PATH, and no apt-get to install one"
  [ "$(id -u)" -eq 0 ] || give_up "there is no $program on the PATH, and only root may install one"
  # invoke-rc.d asks this file before it starts a service; 101 is "no".
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ] && printf '#!/bin/sh\nexit 101\n' 2>/dev/null >"$policy"; then
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
  fi
  echo "ensure: installing $package" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y --no-install-recommends "$package" >&2 </dev/null ||
    { apt-get update >&2 </dev/null && apt-get install -y --no-install-recommends "$package" >&2 </dev/null; } ||
    give_up "apt-get could not install $package"
}

for program in "$@"; do
  case $program in
    redis) what='Redis 7.0 or newer' program=redis-server package=redis-server names=redis-server ;;
    promtool) what=Prometheus package=prometheus names=promtool ;;
    openssl) what=OpenSSL package=openssl names=openssl ;;
    nginx) what=nginx package=nginx names=nginx ;;
    nats) what='the NATS server' program=nats-server package=nats-server names=nats-server ;;
    chromium) what=Chromium package=chromium names='chromium chromium-browser google-chrome google-chrome-stable' ;;
    *) echo "ensure: $program is none of redis, promtool, openssl, nginx, nats, chromium" >&2 && exit 2 ;;
  esac
  find_one || { install_one && find_one; } || give_up "the package $package brought no $program that fits"
done
