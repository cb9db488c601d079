# shellcheck shell=bash disable=SC2034
# What the scripts in hack/ share: where the cache is, how an entry gets into it, and the list of steps that a user
# sees. Sourced, never run.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${MOCKUP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mockup}
helper_folders=(/usr/lib/podman /usr/libexec/podman /usr/local/libexec/podman)
export PODMAN_IGNORE_CGROUPSV1_WARNING=1 # said on every call otherwise; `mockup doctor` says it once

# One set of flags for every build and test of this module, so that nothing is compiled twice. Podman's bindings need the
# tags. Who sets others has reasons.
export CGO_ENABLED=${CGO_ENABLED:-0}
export GOFLAGS=${GOFLAGS:--trimpath -buildvcs=false -tags=remote,containers_image_openpgp}

# die MESSAGE...: one line that says what to do, and exit code 1.
die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# usage: prints the comment at the head of the script.
usage() {
	sed -n '2,/^[^#]\|^# shellcheck/{/^# shellcheck/d;s/^# \{0,1\}//p}' "$0"
}

# digest: the first 12 hexadecimal digits of the SHA-256 of standard input; names cache entries.
digest() {
	sha256sum | cut -c1-12
}

# step WHAT COMMAND...: runs COMMAND and prints a tick, WHAT and the seconds it took. What the command says goes to a
# log that is shown only when it fails.
step() {
	local what=$1 start=$EPOCHREALTIME log
	shift
	mkdir -p "$cache/log"
	log=$(mktemp "$cache/log/XXXXXX")
	# A subshell of its own, not `if "$@"`: bash ignores set -e in a function that is part of a condition.
	set +e
	(
		set -e
		"$@"
	) >"$log" 2>&1
	local code=$?
	set -e
	if ((code != 0)); then
		printf ' ✗ %s\n' "$what" >&2
		tail -n 40 "$log" | sed 's/^/   │ /' >&2
		die "$what: failed with exit code $code, the whole output is in $log"
	fi
	rm -f "$log"
	printf ' ✓ %-58s %6s s\n' "$what" "$(seconds_since "$start")" >&2
}

# seconds_since START: seconds with one decimal since START, a value of $EPOCHREALTIME.
seconds_since() {
	awk -v a="${1/,/.}" -v b="${EPOCHREALTIME/,/.}" 'BEGIN { printf "%.1f", b - a }'
}

# cached NAME KEY BUILD...: makes sure that $cache/NAME-KEY exists, built by `BUILD... FOLDER` in a new folder that is
# renamed once it is whole, so that an interrupted build leaves nothing behind and two at once build once.
# Sets $entry to the folder.
cached() {
	local name=$1 new lock
	entry=$cache/$name-$2
	shift 2
	if [[ -d $entry ]]; then
		touch -c "$entry" # in use: see forget
		return
	fi
	mkdir -p "$cache"
	exec {lock}>"$cache/.$name.lock"
	flock "$lock"
	if [[ ! -d $entry ]]; then
		new=$(mktemp -d "$cache/.new-XXXXXX")
		chmod 755 "$new"
		# shellcheck disable=SC2064 # the folder of now
		trap "rm -rf '$new'" EXIT
		step "$name" "$@" "$new"
		mv -T "$new" "$entry"
		trap - EXIT
		forget "$name"
	fi
	exec {lock}>&-
}

# forget NAME: removes entries of NAME that nobody has used for 14 days.
forget() {
	find "$cache" -maxdepth 1 -name "$1-????????????" -mtime +14 -exec rm -rf {} +
	find "$cache" -maxdepth 1 -name '.new-??????' -mtime +1 -exec rm -rf {} +
}

# at_least HAVE WANT: whether version HAVE is WANT or newer.
at_least() {
	[[ -n $1 && $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]
}

# use_podman: makes the machine ready and sets the variables for its Podman and kubectl.
use_podman() {
	local variables
	variables=$("$repo/hack/setup" --env) # apart from eval, which would swallow a failure
	eval "$variables"
}

# packages WHAT:PACKAGE...: installs the packages whose command or file is not there; says which when not root.
packages() {
	local item missing=()
	for item; do
		present "${item%%:*}" || missing+=("${item#*:}")
	done
	((${#missing[@]} == 0)) && return
	command -v apt-get >/dev/null || die "missing: ${missing[*]} (Debian's names); install them with this system's package manager"
	((EUID == 0)) || die "missing packages; run: sudo apt-get install --no-install-recommends ${missing[*]}"
	step "apt-get install ${missing[*]}" install_packages "${missing[@]}"
}

present() {
	local folder
	[[ $1 == /* ]] && { [[ -e $1 ]]; return; }
	command -v "$1" >/dev/null && return
	for folder in "${helper_folders[@]}" /usr/sbin /sbin; do
		[[ -x $folder/$1 ]] && return
	done
	return 1
}

install_packages() {
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq || echo "apt-get update failed, trying with the lists at hand"
	apt-get install -y -qq --no-install-recommends "$@"
}
