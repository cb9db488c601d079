#!/bin/sh
# Tells nginx where names are resolved, as this pod's resolv.conf says, before it starts. The resolver of nginx ignores
# search domains, so in a cluster the namespace's own is put behind every service name; on Podman short names are whole.
# Needs no program but the shell. NAMESPACE is the pod's.
set -eu

resolv_conf=${RESOLV_CONF:-/etc/resolv.conf}
resolver_conf=${RESOLVER_CONF:-/run/mockup/resolver.conf}

servers=
domain=
while read -r keyword values || [ -n "$keyword" ]; do
    case $keyword in
    nameserver)
        set -- $values
        case $1 in
        *%*) ;; # link-local, with a zone that nginx does not know
        *:*) servers="$servers [$1]" ;;
        *) servers="$servers $1" ;;
        esac
        ;;
    search)
        domain= # the last line counts
        for name in $values; do
            case $name in
            # Podman's own. What follows is the host's, which may itself be a pod of a cluster.
            dns.podman) break ;;
            "$NAMESPACE".svc.*) domain=".$name" ;;
            esac
        done
        ;;
    esac
done <"$resolv_conf"

if [ -z "$servers" ]; then
    echo "$0: no usable nameserver in $resolv_conf" >&2
    exit 1
fi
printf 'resolver%s valid=1s ipv6=off;\nmap "" $service_domain { default "%s"; }\n' "$servers" "$domain" >"$resolver_conf"
