#!/bin/sh
# Prepares the configuration by the scripts of /docker-entrypoint.d, in the order of their names, then becomes its
# arguments: *.sh is run, *.envsh is sourced, each only if it is executable. Any other program starts unprepared.
set -e
if [ "$1" = nginx ]; then
	for script in /docker-entrypoint.d/*; do
		[ -x "$script" ] || continue
		case $script in
		*.sh) "$script" ;;
		*.envsh)
			# shellcheck source=/dev/null
			. "$script"
			;;
		esac
	done
fi
exec "$@"
