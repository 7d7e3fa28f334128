#!/usr/bin/env bash
# Installs what the tests need and Python packages do not bring: rabbitmq-server. Says nothing when it is there, or
# when the tests will not need it (URLs of running services in the environment, containers only). A Docker engine alone
# is no reason to leave it out: it may have no way to the images.
set -euo pipefail

[[ ${BACKING:-} == env || ${BACKING:-} == docker || -n ${TEST_AMQP_URL:-} ]] && exit 0
PATH=/usr/lib/rabbitmq/bin:$PATH:/usr/sbin
command -v rabbitmq-server >/dev/null && command -v epmd >/dev/null && exit 0

if [[ $(id -u) == 0 ]]; then
  root=()
elif sudo -n true 2>/dev/null; then
  root=(sudo -n)
else
  root=(false)
fi
if [[ ${root[*]} == false ]] || ! command -v apt-get >/dev/null; then
  [[ ${BACKING:-} != local ]] && docker info >/dev/null 2>&1 && exit 0
  cat >&2 <<'MESSAGE'
The tests need a RabbitMQ broker (3.10 or newer). Do one of these:
  - install it: apt-get install --no-install-recommends rabbitmq-server   (as root; or your system's package of it)
  - start a Docker engine
  - set the TEST_* variables listed in tests/fixtures/backing/environment.py
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
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends rabbitmq-server
}
install >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
rm -f "$log"
