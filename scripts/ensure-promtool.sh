#!/bin/sh
# Makes sure that promtool is on the PATH: the chart's alerts are tested with it. Debian's prometheus is installed when this runs as
# root; its service is not started.
set -u

command -v promtool >/dev/null 2>&1 && exit 0
give_up() {
  echo "ensure-promtool: $1" >&2
  echo "ensure-promtool: install Prometheus so that promtool is on the PATH, then run this again" >&2
  exit 1
}
command -v apt-get >/dev/null 2>&1 || give_up "there is no promtool on the PATH, and no apt-get to install one"
[ "$(id -u)" -eq 0 ] || give_up "there is no promtool on the PATH, and only root may install one"

# invoke-rc.d asks this file before it starts a service; 101 is "no".
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ] && printf '#!/bin/sh\nexit 101\n' >"$policy" 2>/dev/null; then
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi

echo 'ensure-promtool: installing prometheus' >&2
export DEBIAN_FRONTEND=noninteractive
apt-get install -y --no-install-recommends prometheus >&2 </dev/null ||
  { apt-get update >&2 </dev/null && apt-get install -y --no-install-recommends prometheus >&2 </dev/null; } ||
  give_up 'apt-get could not install prometheus'
command -v promtool >/dev/null 2>&1 || give_up 'there is still no promtool'
