#!/usr/bin/env bash
# Installs what the tests need and Python packages do not bring: rabbitmq-server, chromium, Chinese fonts, libfaketime
# (clocks that jump), and npm where tools/old-chromium.sh will need it. Says nothing when they are there. The broker is left out when the tests will not need it (URLs of running services in the
# environment, containers only). A Docker engine alone is no reason to leave it out: it may have no way to the images.
set -euo pipefail

PATH=/usr/lib/rabbitmq/bin:$PATH:/usr/sbin
packages=()

broker_is_elsewhere() { [[ ${BACKING:-} == env || ${BACKING:-} == docker || -n ${TEST_AMQP_URL:-} ]]; }
broker_is_here() { command -v rabbitmq-server >/dev/null && command -v epmd >/dev/null; }
broker_is_elsewhere || broker_is_here || packages+=(rabbitmq-server)
# With what it writes on pages itself in Chinese, for the manuals' pictures.
command -v chromium >/dev/null || packages+=(chromium chromium-l10n)
[[ -n $(find /usr/share/fonts /usr/local/share/fonts ~/.fonts -iname '*CJK*' -print -quit 2>/dev/null) ]] ||
  packages+=(fonts-noto-cjk)
tools/old-chromium.sh --is-there || command -v npm >/dev/null || packages+=(npm)
compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || packages+=(libfaketime)
[[ ${#packages[@]} == 0 ]] && exit 0

if [[ $(id -u) == 0 ]]; then
  root=()
elif sudo -n true 2>/dev/null; then
  root=(sudo -n)
else
  root=(false)
fi
if [[ ${root[*]} == false ]] || ! command -v apt-get >/dev/null; then
  if [[ ${packages[*]} == rabbitmq-server && ${BACKING:-} != local ]] && docker info >/dev/null 2>&1; then
    exit 0
  fi
  cat >&2 <<MESSAGE
The tests need what is not installed here: ${packages[*]}
  - install it, as root: apt-get install --no-install-recommends ${packages[*]}   (or your system's packages of it)
  - instead of rabbitmq-server (3.10 or newer) you can start a Docker engine, or set the TEST_* variables listed in
    tests/support/backing/environment.py
MESSAGE
  exit 1
fi

# The package would start a broker on port 5672 for the whole machine; the tests start their own.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
  "${root[@]}" chmod 755 "$policy"
  trap '"${root[@]}" rm -f "$policy"' EXIT
fi
log=$(mktemp)
install() {
  "${root[@]}" apt-get update -qq &&
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
}
install >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
rm -f "$log"
