#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Fetch the glibc of several Debian suites, of amd64 and i386:
#
#	FOLDER/SUITE-ARCH	its libc6, a folder to chroot into
#	FOLDER/SUITE-ARCH.dbg	its libc6-dbg
#	FOLDER/sysroot-ARCH	what to build a program against that is to run under all of them:
#				libc6-dev of the first suite that can be had, the oldest
#
#	tests/matrix/fetch.bash FOLDER [SUITE...]
#
# Mirror and keyring are those of this machine's own apt, whose lists are neither used nor touched.
# What is there already is not fetched again. Prints `SUITE ARCH VERSION`, or `SUITE ARCH - REASON`
# for what cannot be had; that is no failure.
set -u

[ $# -ge 1 ] || { echo "usage: $0 FOLDER [SUITE...]" >&2; exit 2; }
mkdir -p "$1" && cd "$1" || exit 1
shift
[ $# -gt 0 ] || set -- bullseye bookworm trixie sid experimental

# The archive that this machine's own packages come from.
own_archive()
{
	local VERSION_CODENAME=
	# shellcheck source=/dev/null
	. /etc/os-release
	apt-get indextargets --format "\$(REPO_URI)" 'Created-By: Packages' 'Component: main' \
		"Release: $VERSION_CODENAME" | head -n 1
}

own_keyring()
{
	local file
	for file in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
		[ ! -r "$file" ] || { echo "$file"; return; }
	done
}

# configure SUITE OPTIONS: an apt of its own in the folder apt.
configure()
{
	local apt=$PWD/apt
	rm -rf apt
	mkdir -p apt/lists/partial apt/archives/partial
	: >apt/status
	echo "deb [$2] $archive $1 main" >apt/sources.list
	cat >apt/conf <<-END
		Dir::State "$apt";
		Dir::State::lists "$apt/lists";
		Dir::State::status "$apt/status";
		Dir::Cache "$apt";
		Dir::Etc::sourcelist "$apt/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Etc::preferences "/dev/null";
		Dir::Etc::preferencesparts "/dev/null";
		#clear APT::Architectures;
		APT::Architectures { "amd64"; "i386"; };
		#clear APT::Update;
		APT::Sandbox::User "root";
		Acquire::Languages "none";
		Acquire::GzipIndexes "true";
		APT::Update::Error-Mode "any";
		Acquire::Retries "0";
		Acquire::http::Timeout "20";
		Acquire::https::Timeout "20";
	END
}

# apt_get ARGUMENT...: what it says goes to the file log, what it downloads to apt/archives.
apt_get()
{
	(cd apt/archives && apt-get -q -c ../conf "$@") >log 2>&1
}

# update SUITE: tried once a suite.
update()
{
	[ "$updated" != "$1" ] || return 0
	[ "$failed" != "$1" ] || return 1
	failed=$1
	configure "$1" "arch=amd64,i386 signed-by=$keyring"
	if ! apt_get update; then
		grep -q NO_PUBKEY log || return
		echo "# $1: its key is not in this machine's keyring: not verified"
		configure "$1" 'arch=amd64,i386 trusted=yes'
		apt_get update || return
	fi
	failed=
	updated=$1
}

# unpack SUITE ARCH FOLDER PACKAGE...: all or nothing.
unpack()
{
	local suite=$1 arch=$2 to=$3 package file
	shift 3
	[ ! -e "$to" ] || return 0
	update "$suite" || return
	rm -rf "$to.new"
	mkdir -p "$to.new"
	for package; do
		rm -f apt/archives/*.deb
		apt_get -o APT::Architecture="$arch" download "$package/$suite" || return
		file=$(echo apt/archives/*.deb)
		dpkg -x "$file" "$to.new" 2>log || return
		[ "$package" != libc6 ] || dpkg -f "$file" Version >"$to.new/version"
	done
	resolve_links "$to.new"
	mv "$to.new" "$to"
}

# resolve_links FOLDER: what is meant as a root has no links that leave it, and those that a package
# of its own makes in suites where /bin, /lib and so on are below /usr.
resolve_links()
{
	local link dir
	find "$1" -type l -lname '/*' | while read -r link; do
		ln -sfrT "$1$(readlink "$link")" "$link"
	done
	for dir in "$1"/usr/lib*; do
		[ -e "$1/${dir##*/}" ] || ln -s "usr/${dir##*/}" "$1/${dir##*/}"
	done
}

# fetch SUITE ARCH
fetch()
{
	unpack "$1" "$2" "$1-$2" libc6 || return
	mkdir -p "$1-$2"/{proc,sys,usr/lib/debug}
	unpack "$1" "$2" "$1-$2.dbg" libc6-dbg || return
	unpack "$1" "$2" "sysroot-$2" libc6 libc6-dev linux-libc-dev
}

archive=$(own_archive)
keyring=$(own_keyring)
updated=
failed=
for suite; do
	for arch in amd64 i386; do
		if [ -z "$archive" ] || [ -z "$keyring" ]; then
			echo "$suite $arch - no Debian archive in the configuration of apt"
		elif fetch "$suite" "$arch"; then
			echo "$suite $arch $(<"$suite-$arch/version")"
		else
			echo "$suite $arch - $(grep -m 1 '^E:' log || tail -n 1 log)"
		fi
	done
done
rm -rf apt log ./*.new
