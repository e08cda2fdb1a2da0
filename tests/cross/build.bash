#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Build everything for aarch64, and fetch what it takes to run it. Nothing is installed.
#
#	FOLDER/root	Debian's libraries for aarch64 and what compiling against them takes
#	FOLDER/tools	qemu-aarch64-static, and busybox for aarch64
#	FOLDER/kernel	a kernel for aarch64, with its modules
#	FOLDER/build	the build
#
#	tests/cross/build.bash FOLDER
#
# Packages are those of this machine's own apt, whose lists are neither used nor touched. What is
# there already is not fetched again. Status 77, the reason in the last line, if something is
# missing that is no fault of the build's.
set -u
# What the make that runs this was told is not for the one that it runs.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL

[ $# -eq 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
top=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1" && cd "$1" || exit 1
folder=$PWD
apt=$folder/apt

give_up()
{
	echo "$*"
	exit 77
}

# apt_for ARCHITECTURE COMMAND...: apt without any installed package.
apt_for()
{
	local arch=$1
	shift
	APT_CONFIG=$apt/$arch "$@"
}

configure_apt()
{
	local arch
	rm -rf "$apt"
	for arch; do
		mkdir -p "$apt/lists-$arch/partial" "$apt/archives/partial"
		cat >"$apt/$arch" <<-END
			Dir::State "$apt";
			Dir::State::lists "$apt/lists-$arch";
			Dir::State::status "$apt/status";
			Dir::Cache "$apt";
			Dir::Cache::pkgcache "";
			Dir::Cache::srcpkgcache "";
			#clear APT::Architectures;
			APT::Architecture "$arch";
			APT::Architectures { "$arch"; };
			#clear APT::Update;
			APT::Sandbox::User "root";
			APT::Update::Error-Mode "any";
			Acquire::Languages "none";
			Acquire::http::Timeout "20";
			Acquire::https::Timeout "20";
		END
		: >"$apt/status"
		apt_for "$arch" apt-get -q update || return
	done
}

# unpack FOLDER: all packages that have been fetched. Links stay inside.
unpack()
{
	local file link
	rm -rf "$1.new"
	mkdir "$1.new"
	for file in "$apt"/archives/*.deb; do
		dpkg -x "$file" "$1.new" || return
	done
	rm -f "$apt"/archives/*.deb
	find "$1.new" -type l -lname '/*' | while read -r link; do
		ln -sfrT "$1.new$(readlink "$link")" "$link"
	done
	mv "$1.new" "$1"
}

# download ARCHITECTURE PACKAGE...: just these.
download()
{
	local arch=$1
	shift
	(cd "$apt/archives" && apt_for "$arch" apt-get -q download "$@")
}

fetch_root()
{
	apt_for arm64 apt-get -qy -d install --no-install-recommends libc6-dev libgcc-12-dev \
		libelf-dev libdw-dev libsmartcols-dev libjansson-dev libcmocka-dev &&
		unpack root
}

fetch_tools()
{
	download arm64 busybox-static && download "$native" qemu-user-static && unpack tools
}

# The package linux-image-cloud-arm64 only names another one.
fetch_kernel()
{
	local name
	name=$(apt_for arm64 apt-cache depends --important linux-image-cloud-arm64 |
		sed -n 's/.*Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
	[ -n "$name" ] && download arm64 "$name" && unpack kernel
}

fetch()
{
	native=$(dpkg --print-architecture)
	configure_apt arm64 "$native" || return
	[ -e root ] || fetch_root || return
	[ -e tools ] || fetch_tools || return
	[ -e kernel ] || fetch_kernel
}

# build: by clang, which needs no other packages for another machine than its own.
build()
{
	local library=$folder/root/usr/lib/aarch64-linux-gnu
	export PKG_CONFIG_SYSROOT_DIR=$folder/root
	export PKG_CONFIG_LIBDIR=$library/pkgconfig:$folder/root/usr/share/pkgconfig
	mkdir -p build && cd build || return
	[ -e config.status ] || "$top/configure" --host=aarch64-linux-gnu --enable-werror \
		CC="clang --target=aarch64-linux-gnu --sysroot=$folder/root" LDFLAGS=-fuse-ld=lld ||
		return
	make -j"$(nproc)" all && make -j"$(nproc)" check TESTS=
}

for tool in apt-get dpkg clang ld.lld pkg-config; do
	command -v "$tool" >/dev/null || give_up "$tool is not installed"
done
if [ ! -e root ] || [ ! -e tools ] || [ ! -e kernel ]; then
	fetch >fetch.log 2>&1 ||
		give_up "packages for arm64: $(grep -m 1 -E '^(E|W|Err)' fetch.log ||
			tail -n 1 fetch.log)"
	rm -rf "$apt"
fi
(build) >build.log 2>&1 || { tail -n 100 build.log; exit 1; }
