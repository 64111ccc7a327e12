#!/bin/sh
# The entry command of the containers: aligncat serve with the words that follow, and with the keys of secrets, which are
# files. A container's own address is not loopback, so a key is needed unless --no_auth true is among the words.
set -eu
secrets=${ALIGNCAT_SECRETS:-/run/secrets}
if [ -f "$secrets/aligncat_api_key" ]; then
    ALIGNCAT_API_KEY=$(cat "$secrets/aligncat_api_key")
    export ALIGNCAT_API_KEY
fi
if [ -f "$secrets/label_studio_token" ]; then
    ALIGNCAT_LABEL_STUDIO_TOKEN=$(cat "$secrets/label_studio_token")
    export ALIGNCAT_LABEL_STUDIO_TOKEN
fi
exec aligncat serve "$@" --host 0.0.0.0 --port "${ALIGNCAT_PORT:-8000}"
