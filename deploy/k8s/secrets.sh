#!/usr/bin/env bash
# Prints the Secrets that an overlay needs, with tokens and keys made anew, for kubectl apply. None of it is kept anywhere else, so apply it once: with
# other tokens services are refused by their sidecars until they are started anew, and events that wait are dead letters under another signing key
# (docs/security.md says how a key is changed). Addresses and passwords of servers come from variables:
#
#   deploy/k8s/secrets.sh try | kubectl apply -f -                         a password for the Redis of try/ is made, too
#   REDIS_PASSWORD=...                                                       deploy/k8s/secrets.sh redis
#   RABBITMQ_CONNECTION=amqp://... POSTGRESQL_CONNECTION='host=...'          deploy/k8s/secrets.sh rabbitmq-postgresql
#   KAFKA_USERNAME=... KAFKA_PASSWORD=... KAFKA_CA="$(cat ca.crt)" POSTGRESQL_CONNECTION='host=...'   deploy/k8s/secrets.sh kafka-postgresql
#   NATS_URL=nats://... POSTGRESQL_CONNECTION='host=...'                     deploy/k8s/secrets.sh jetstream-postgresql
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

case "${1:-}" in
  try | redis | rabbitmq-postgresql | kafka-postgresql | jetstream-postgresql) overlay=$1 ;;
  *)
    echo "expected an overlay: try, redis, rabbitmq-postgresql, kafka-postgresql or jetstream-postgresql; got '${1:-}'" >&2
    exit 2
    ;;
esac

# Namespace, name, then key and value by turns; the values in base64, so that no character of them means anything to YAML.
secret() {
  printf -- '---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n  namespace: %s\ntype: Opaque\ndata:\n' "$2" "$1"
  shift 2
  while [ $# -gt 0 ]; do
    printf '  %s: %s\n' "$1" "$(printf %s "$2" | openssl base64 -A)"
    shift 2
  done
}

given() {
  [ -n "${!1:-}" ] || { echo "expected $1 in the environment for the overlay $overlay" >&2; exit 2; }
}

# All that can fail does so before anything is printed.
case $overlay in
  try) REDIS_PASSWORD=$(openssl rand -hex 24) ;;
  redis) given REDIS_PASSWORD ;;
  rabbitmq-postgresql) given RABBITMQ_CONNECTION ;;
  kafka-postgresql) given KAFKA_USERNAME; given KAFKA_PASSWORD; given KAFKA_CA ;;
  jetstream-postgresql) given NATS_URL ;;
esac
case $overlay in *-postgresql) given POSTGRESQL_CONNECTION ;; esac

dapr_token=$(openssl rand -hex 32)
app_token=$(openssl rand -hex 32)
signing_key=$(openssl rand -base64 32)

# With the labels that the overlay gives them: an apply takes away what the one before it has set.
cat "$here/base/namespace.yaml"
if [ "$overlay" = try ]; then echo --- && cat "$here/try/redis/namespace.yaml"; fi
secret daprorders dapr-api-token token "$dapr_token"
secret daprorders app-api-token token "$app_token"
secret daprorders events-signing-key key "$signing_key"
case $overlay in
  try)
    secret daprorders redis password "$REDIS_PASSWORD"
    secret data redis password "$REDIS_PASSWORD"
    ;;
  redis) secret daprorders redis password "$REDIS_PASSWORD" ;;
  rabbitmq-postgresql) secret daprorders rabbitmq connectionString "$RABBITMQ_CONNECTION" ;;
  kafka-postgresql) secret daprorders kafka username "$KAFKA_USERNAME" password "$KAFKA_PASSWORD" ca.crt "$KAFKA_CA" ;;
  jetstream-postgresql) secret daprorders nats url "$NATS_URL" ;;
esac
case $overlay in *-postgresql) secret daprorders postgresql connectionString "$POSTGRESQL_CONNECTION" ;; esac
