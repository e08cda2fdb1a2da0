#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # jq filters; how bats runs tests
# Programs that nobody wrote for these tests. What malloc_info says inside them is the oracle: a
# preloaded library (tests/fixtures/selfinfo.c) calls it on request and allocates nothing then.
#
# A program may do something of its own at any time: only when malloc_info says the same before
# and after an inspect are the two compared.

load ../lib/helpers

setup() {
	need jq "${CC:-cc}"
	DIR=$(mktemp -d)
	chmod 777 "$DIR"
	"${CC:-cc}" -D_GNU_SOURCE -O1 -g -shared -fPIC -pthread -o "$DIR/selfinfo.so" \
		"$top_srcdir/tests/fixtures/selfinfo.c"
}

teardown() {
	local pid
	for pid in "${STARTED[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$DIR"
}

STARTED=()
AS=()	# prefix that runs a program as another user

# start TEXT COMMAND…: run a program and wait until it has written TEXT. Sets PID.
start() {
	local text=$1
	shift
	mkfifo "$DIR/in"
	"${AS[@]}" env SELFINFO="$DIR" LD_PRELOAD="$DIR/selfinfo.so" "$@" \
		<"$DIR/in" >"$DIR/out" 2>&1 3>&- 4>&- &
	PID=$!
	STARTED+=("$PID")
	exec {IN}>"$DIR/in"
	wait_for 60 grep -qF "$text" "$DIR/out"
}

answers() {
	grep -c '^</malloc>' "$DIR/info.$PID" || true
}

has_answered() { # COUNT
	(($(answers) == $1))
}

# malloc_info_of: what the program says of itself now, in $INFO.
malloc_info_of() {
	local n
	n=$(answers)
	printf x >"$DIR/ask.$PID"
	wait_for 60 has_answered $((n + 1))
	awk '/^<malloc / { text = "" } { text = text $0 "\n" } END { printf "%s", text }' \
		"$DIR/info.$PID" >"$DIR/one"
	INFO=$(parse_malloc_info "$DIR/one")
}

# compare: inspect the program live, stopped, and without symbols, and hold each against
# malloc_info.
compare() {
	local option before try
	for option in -- --stop --no-debuginfo; do
		for ((try = 0; try < 10; try++)); do
			malloc_info_of
			before=$INFO
			gs_report "$option" "$PID"
			malloc_info_of
			[[ $INFO == "$before" ]] && break
		done
		[[ $INFO == "$before" ]] || fail "the program is never at rest"
		assert_equal "$stderr" ""
		assert_equal "$status" 0
		assert_no_problems adds_up_problems
		assert_no_problems 'malloc_info_problems($truth)' --argjson truth "$INFO"
	done
	assert_no_problems 'differ("symbols"; .allocator.symbols; "structure")'
}

@test "python3" {
	need python3
	# python3 may be a script that looks for the real one
	start ready "$(python3 -c 'import sys; print(sys.executable)')" -c '
import sys, json, re, threading
kept = [str(i) * (i % 200) for i in range(100000)]
del kept[::2]
threading.Thread(target=lambda: [bytes(1000) for i in range(10000)], daemon=True).start()
print("ready", flush=True)
sys.stdin.read()'
	compare
}

@test "perl" {
	need perl
	start ready perl -e '
		my %h = map { $_ => "x" x ($_ % 300) } 1 .. 100000;
		delete $h{$_ * 2} for 1 .. 50000;
		$| = 1;
		print "ready\n";
		<STDIN>'
	compare
}

@test "node" {
	need node
	start ready node -e '
		const kept = Array.from({ length: 1000 }, (_, i) => Buffer.alloc(i * 64));
		for (let i = 0; i < 1000; i += 2) delete kept[i];
		console.log("ready");
		process.stdin.resume();'
	compare
}

@test "java" {
	need java
	cat >"$DIR/Wait.java" <<-'END'
		public class Wait {
			public static void main(String[] arguments) throws Exception {
				System.out.println("ready");
				System.in.read();
			}
		}
	END
	start ready java -Xmx256m "$DIR/Wait.java"
	compare
}

@test "postgres" {
	need postgres initdb setpriv
	# it refuses to run as root
	[[ $EUID != 0 ]] || AS=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all)
	"${AS[@]}" env HOME="$DIR" initdb -A trust -U tester -N "$DIR/data" >"$DIR/log" 2>&1 3>&- ||
		skip "initdb does not work here: $(tail -n 1 "$DIR/log")"
	start 'ready to accept connections' \
		postgres -D "$DIR/data" -k "$DIR" -c listen_addresses=
	compare
	# its children would outlive a killed postmaster
	kill -QUIT "$PID"
	wait "$PID" || true
}

@test "gdb itself" {
	need gdb
	start ready gdb -nx -q -iex 'set debuginfod enabled off' "$GLIBCSTALL" \
		-ex 'info functions main' -ex 'echo ready\n'
	compare
}

# is_listening: nginx's and redis-server's sockets are there once they take connections.
is_listening() {
	[[ -S $DIR/socket ]]
}

@test "nginx" {
	need nginx
	cat >"$DIR/nginx.conf" <<-END
		daemon off;
		master_process off;
		pid $DIR/pid;
		error_log stderr notice;
		events { }
		http {
			access_log off;
			client_body_temp_path $DIR/tmp;
			server { listen unix:$DIR/socket; }
		}
	END
	start 'event method' nginx -e stderr -c "$DIR/nginx.conf"
	wait_for 60 is_listening
	compare
}

@test "mariadb" {
	need mariadbd mariadb-install-db setpriv
	[[ $EUID != 0 ]] || AS=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all)
	"${AS[@]}" mariadb-install-db --no-defaults --auth-root-authentication-method=normal \
		--datadir="$DIR/data" >"$DIR/log" 2>&1 3>&- ||
		skip "mariadb-install-db does not work here: $(tail -n 1 "$DIR/log")"
	start 'ready for connections' mariadbd --no-defaults --datadir="$DIR/data" \
		--socket="$DIR/socket" --skip-networking --innodb-buffer-pool-size=8M
	compare
}

# Debian's uses jemalloc; what libc's own malloc holds beside it is small.
@test "redis-server" {
	need redis-server
	mkfifo "$DIR/in"
	redis-server --port 0 --unixsocket "$DIR/socket" --dir "$DIR" --save '' \
		>"$DIR/out" 2>&1 3>&- 4>&- &
	PID=$!
	STARTED+=("$PID")
	wait_for 60 is_listening
	ldd "$(command -v redis-server)" | grep -q jemalloc || skip "this one has no jemalloc"
	gs inspect -J "$PID"
	if ((status == 0)); then
		run jq -r .program_malloc.name <<<"$output"
		assert_output jemalloc
	else
		assert_fails_cleanly
		assert_regex "$stderr" "$PID: its malloc is jemalloc, in "
	fi
}
