#!/bin/sh
# Moves a server's link back to the release before.
set -eu

server=${1:?usage: rollback.sh SERVER}
releases=/srv/ferry/releases
live=$(basename "$(readlink "/srv/$server/live")")
before=$(ls "$releases" | sort -n | awk -v live="$live" '$1 < live' | tail -n 1)

if [ -z "$before" ]; then
    echo "There is no release before $live on $server; nothing was changed." >&2
    exit 1
fi
ln -sfn "$releases/$before" "/srv/$server/live"
echo "$server shows $before again."
