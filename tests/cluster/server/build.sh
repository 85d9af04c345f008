#!/bin/sh
# Builds the command into the file $1. Kubernetes learns its own version from the linker.
set -eu
cd "$(dirname "$0")"
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
exec go build -buildvcs=false -o "$1" \
    -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" .
