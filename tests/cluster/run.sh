#!/usr/bin/env bash
# Runs the tests of tests/cluster: on the cluster that KUBECONFIG names (its nodes can pull or hold the images
# PROXY_IMAGE and STAND_IN_IMAGE), else on a one-node cluster that is started here and taken down again.
set -euo pipefail
cd "$(dirname "$0")/../.."
pytest=(.venv/bin/pytest tests/cluster tests/components/test_admission.py -m '' "$@")
if [ -n "${KUBECONFIG:-}" ]; then exec "${pytest[@]}"; fi

export BIN=build/cluster STATE=${STATE:-/tmp/lockgate-cluster} # short: unix sockets live there
node=tests/cluster/node/cluster.sh
arch=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
trap '"$node" down' EXIT
"$node" up
for image in proxy stand-in; do
    "$node" import "$(ls build/image/lockgate-"$image"-*-"$arch".tar | head -1)" >/dev/null
done
NODE_IS_HERE=1 KUBECONFIG=$("$node" kubeconfig) "${pytest[@]}"
