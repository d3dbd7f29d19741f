#!/bin/sh
# Makes sure that there is a Chromium for the test of the page, and prints its path. Debian's package is installed when
# this runs as root.
set -u

find_browser() {
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" 2>/dev/null && return 0
  done
  return 1
}

give_up() {
  echo "ensure-chromium: $1" >&2
  echo "ensure-chromium: install Chromium so that chromium is on the PATH, then run this again" >&2
  exit 1
}

find_browser && exit 0
command -v apt-get >/dev/null 2>&1 || give_up "there is no chromium on the PATH, and no apt-get to install one"
[ "$(id -u)" -eq 0 ] || give_up "there is no chromium on the PATH, and only root may install one"

echo 'ensure-chromium: installing chromium' >&2
export DEBIAN_FRONTEND=noninteractive
apt-get install -y --no-install-recommends chromium >&2 </dev/null ||
  { apt-get update >&2 </dev/null && apt-get install -y --no-install-recommends chromium >&2 </dev/null; } ||
  give_up 'apt-get could not install chromium'

find_browser || give_up 'apt-get installed no chromium'
