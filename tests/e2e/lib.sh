# Sourced by the scripts of this folder.
set -u
cd "$WORK" || exit 1
log=$WORK/../log.zst

fail() {
	echo "FAILED: $*"
	exit 1
}

# status WANTED COMMAND...: runs it, its output in $WORK/../out and err; fails on another status.
status() {
	wanted=$1
	shift
	"$@" >"$WORK/../said.out" 2>"$WORK/../said.err" </dev/null
	got=$?
	[ "$got" -eq "$wanted" ] || {
		tail -n 5 "$WORK/../said.err"
		fail "status $got, wanted $wanted: $*"
	}
}

# said TEXT: the last command wrote TEXT to stdout; warned TEXT: to stderr.
said() { grep -q -e "$1" "$WORK/../said.out" || fail "stdout lacks '$1': $(tail -n 3 "$WORK/../said.out")"; }
warned() { grep -q -e "$1" "$WORK/../said.err" || fail "stderr lacks '$1': $(tail -n 3 "$WORK/../said.err")"; }
