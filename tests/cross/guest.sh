#!/bin/busybox sh
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC3045 # ulimit, as busybox has it
# The first process of a machine that tests/live/aarch64.bats boots: it inspects victims and runs
# unit tests there, and leaves what came of them on its disk, as a tar archive.
#
#	/victims	lines of NAME COMMAND..., each a mkheap
#	/units		the unit tests
#
# Of each victim: NAME.truth, NAME.live, NAME.stopped (reports) and NAME.core.gz; what went wrong
# is in NAME.errors. Of each unit test: NAME.tap.
export PATH=/bin LC_ALL=C CMOCKA_MESSAGE_OUTPUT=TAP top_srcdir=/ top_builddir=/
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs tmp /tmp
/bin/busybox --install -s /bin

# They need one another.
for _ in 1 2 3 4; do
	for module in /modules/*.ko; do
		insmod "$module" 2>/dev/null
	done
done

mkdir /tmp/out
cd /tmp/out || exit
echo /tmp/core >/proc/sys/kernel/core_pattern
ulimit -c unlimited

# look NAME COMMAND...
look()
{
	name=$1
	shift
	rm -f /tmp/in /tmp/ready
	mkfifo /tmp/in /tmp/ready
	"$@" </tmp/in >/tmp/ready 2>>"$name.errors" &
	job=$!
	exec 3>/tmp/in 4</tmp/ready
	read -r ready pid truth <&4
	pid=${pid#pid=}
	if [ "$ready" != ready ]; then
		echo 'the victim did not get ready' >>"$name.errors"
		return
	fi
	echo "$truth" >"$name.truth"
	glibcstall inspect -J "$pid" >"$name.live" 2>>"$name.errors"
	glibcstall inspect -J --stop "$pid" >"$name.stopped" 2>>"$name.errors"
	kill -ABRT "$pid"
	wait "$job"
	exec 3>&- 4<&-
	gzip -1 </tmp/core >"$name.core.gz"
	rm /tmp/core
}

while read -r line; do
	# shellcheck disable=SC2086 # words
	look $line
done </victims

for unit in /units/*; do
	timeout 300 "$unit" >"${unit##*/}.tap" 2>&1 || echo "not ok - status $?" >>"${unit##*/}.tap"
done

tar -cf /dev/vda -C /tmp out
sync
poweroff -f
