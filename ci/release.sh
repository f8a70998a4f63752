#!/usr/bin/env bash
# Makes what a release publishes, in build/release: both images for both architectures, the wheels,
# what is inside, an air-gap bundle, and checksums. Tells GitHub the version and the digests where it asks for them.
#   ci/release.sh            GITHUB_REF_NAME, where set, must be the version's tag
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' proxy/pyproject.toml)
if [ -n "${GITHUB_REF_NAME:-}" ] && [ "$GITHUB_REF_NAME" != "v$version" ]; then
    echo "the tag is $GITHUB_REF_NAME and the distributions' version $version" >&2
    exit 2
fi
out=build/release
rm -rf "$out"
mkdir -p "$out"

digest() { # the image that a make target builds; twice, since it must be the same
    local first second
    first=$(make --silent "$1" ARCHS="amd64 arm64" | tail -n 1)
    second=$(make --silent "$1" ARCHS="amd64 arm64" | tail -n 1)
    if [ "$first" != "$second" ]; then
        echo "$1 is not the same twice: $first, then $second" >&2
        exit 1
    fi
    echo "$first" >&2
    cut -d ' ' -f 2 <<< "$first"
}

proxy=$(digest image)
stand_in=$(digest image-stand-in)
cp build/image/*-"$version"-amd64-arm64.tar build/image/*-"$version"-{amd64,arm64}.cdx.json "$out"
# what a site without a way out begins with: docs/guides/airgap.md
make --silent .venv/.program
.venv/bin/lockgate bundle airgap --listed --out "$out/lockgate-airgap-$version.tar" \
    --image "ghcr.io/lockgate/lockgate-proxy:$version=build/image/lockgate-proxy-$version-amd64-arm64.tar"
# plain Python, for every machine; the compiled wheel is in the image
for distribution in proxy components; do
    .venv/bin/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
        --wheel-dir "$out" "./$distribution"
    rm -rf "$distribution/build" "$distribution"/*.egg-info
done
(cd "$out" && sha256sum -- * > SHA256SUMS)
printf 'version=%s\nproxy=%s\nstand-in=%s\n' "$version" "$proxy" "$stand_in" \
    >> "${GITHUB_OUTPUT:-/dev/stdout}"
