#!/usr/bin/env bash
# The simulation over many seeds, 100,000 unless told otherwise; prints what happened in them.
set -euo pipefail
cd "$(dirname "$0")/../.."
time SIMULATION_SEEDS="${1:-100000}" cargo test --locked --release --package watchcache \
    --features reflector --test simulation -- --nocapture
