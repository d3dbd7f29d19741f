#!/bin/sh
# Makes sure that a redis-server of version 7.0 or newer is on the PATH: tests and benchmarks start their own from it.
# Debian's package is installed when this runs as root; its service is not started.
set -u

major() {
  redis-server --version 2>/dev/null | sed -n 's/.*v=\([0-9]*\)\..*/\1/p'
}

fits() {
  found=$(major)
  [ -n "$found" ] && [ "$found" -ge 7 ]
}

give_up() {
  echo "ensure-redis: $1" >&2
  echo "ensure-redis: install Redis 7.0 or newer so that redis-server is on the PATH, then run this again" >&2
  exit 1
}

fits && exit 0
command -v apt-get >/dev/null 2>&1 || give_up "there is no redis-server 7.0 or newer on the PATH, and no apt-get to install one"
[ "$(id -u)" -eq 0 ] || give_up "there is no redis-server 7.0 or newer on the PATH, and only root may install one"

# invoke-rc.d asks this file before it starts a service; 101 is "no".
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e "$policy" ] && printf '#!/bin/sh\nexit 101\n' >"$policy" 2>/dev/null; then
  chmod +x "$policy"
  made=yes
  trap 'rm -f "$policy"' EXIT
fi

echo 'ensure-redis: installing redis-server' >&2
export DEBIAN_FRONTEND=noninteractive
apt-get install -y --no-install-recommends redis-server >&2 </dev/null ||
  { apt-get update >&2 </dev/null && apt-get install -y --no-install-recommends redis-server >&2 </dev/null; } ||
  give_up 'apt-get could not install redis-server'

fits || give_up "apt-get installed redis-server $(major), which is too old"
[ -z "$made" ] || rm -f "$policy"
