#!/usr/bin/env bash
# What it takes to build, lint and run Candor for Windows on Debian 12: a cross linker, a compiler that
# can build its own standard library, and wine. Idempotent: a second run only looks and returns.
#
#   compiler   Debian's rustc-web with rust-web-src (-Zbuild-std); lints by rust-web-clippy
#   linker     mingw-w64
#   runtime    wine 10 out of Debian 13's packages. They are unpacked under $WINE_HOME and never installed,
#              so the host keeps its own libraries: the two programs among them get wine's own loader.
#   commands   wine10 PROGRAM …      run it (WINEPREFIX chooses the Windows; default ~/.wine10)
#              wine10server -k       end everything in that Windows
#              wine10-runner         the same with a time limit, for cargo
set -euo pipefail

WINE_HOME=${WINE_HOME:-/opt/wine10}
COMMANDS=${COMMANDS:-/usr/local/bin}
TEMPLATE=$WINE_HOME/prefix
export DEBIAN_FRONTEND=noninteractive

say() { printf '   %s\n' "$*"; }

fail() {
    printf 'windows-toolchain: %s\n' "$*" >&2
    exit 1
}

install_packages() {
    local missing=() package
    for package in gcc-mingw-w64-x86-64 rustc-web rust-web-src rust-web-clippy patchelf debian-archive-keyring; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "packages: ${missing[*]}"
    apt-get -qq update
    apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
}

# The mirror that this host's own apt uses.
mirror() {
    local found
    found=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)
    [ -n "$found" ] || fail "apt names no mirror: mend /etc/apt/sources.list"
    echo "${found%/}"
}

# Downloads wine and all it needs from Debian 13, by an apt that has a state of its own.
download_wine() {
    local work=$1 uri
    uri=$(mirror)
    case $uri in *-security*) uri=${uri%-security*} ;; esac
    mkdir -p "$work"/etc/apt/{apt.conf.d,preferences.d,sources.list.d,trusted.gpg.d} \
        "$work"/var/lib/{dpkg,apt/lists/partial} "$work"/var/cache/apt/archives/partial
    : >"$work/var/lib/dpkg/status"
    echo "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri trixie main" \
        >"$work/etc/apt/sources.list"
    local own=(-qq -o "Dir=$work" -o "Dir::State::status=$work/var/lib/dpkg/status" -o APT::Architecture=amd64
        -o APT::Architectures=amd64 -o APT::Sandbox::User=root -o Debug::NoLocking=1 -o Acquire::Languages=none)
    apt-get "${own[@]}" update
    apt-get "${own[@]}" install -y --no-install-recommends --download-only wine64 libwine >/dev/null
}

unpack_wine() {
    local work=$1 root=$2 archive
    for archive in "$work"/var/cache/apt/archives/*.deb; do
        dpkg-deb --extract "$archive" "$root"
    done
    rm -rf "$root"/usr/share/{doc,man,locale,info,lintian} "$root/var"
}

# Makes the unpacked tree run where it lies, beside this host's older C library.
relocate_wine() {
    local root=$1 final=$2 loader dlls=$1/usr/lib/x86_64-linux-gnu/wine/x86_64-windows program
    loader=$(cd "$root" && find . -name ld-linux-x86-64.so.2 -not -type l | head -n 1)
    [ -n "$loader" ] || fail "the unpacked wine has no dynamic loader"
    for program in wine64 wineserver64; do
        # rpath and not runpath: it must also hold for the libraries that wine opens later.
        patchelf --set-interpreter "$final/${loader#./}" --force-rpath \
            --set-rpath "$final/usr/lib/x86_64-linux-gnu" "$root/usr/lib/wine/$program"
    done
    # The server looks for its tables under share/wine/wine.
    ln -sfn . "$root/usr/share/wine/wine"
    # Debian's package marks mingw's zlib as wine's own when it is configured; unpacking does not.
    local zlib=$root/usr/x86_64-w64-mingw32/lib/zlib1.dll
    {
        head -c 64 "$zlib"
        printf 'Wine builtin DLL'
        head -c 16 /dev/zero
        tail -c +97 "$zlib"
    } >"$dlls/zlib1.dll"
    # Debian's wrapper of this name looks for installed packages.
    printf '#!/bin/sh\nexec %s/usr/lib/wine/wineserver64 "$@"\n' "$final" >"$root/usr/lib/wine/wineserver"
    chmod 755 "$root/usr/lib/wine/wineserver"
    # Every prefix gets a copy of the libraries: without debug information a third of the size.
    find "$dlls" -type f -print0 | xargs -0 -P 2 -n 40 x86_64-w64-mingw32-strip --strip-debug 2>/dev/null || true
}

install_wine() {
    [ -e "$WINE_HOME/.complete" ] && return
    say "wine 10"
    local work
    work=$(mktemp -d)
    rm -rf "$WINE_HOME" "$WINE_HOME.partial"
    mkdir -p "$WINE_HOME.partial"
    download_wine "$work"
    unpack_wine "$work" "$WINE_HOME.partial"
    relocate_wine "$WINE_HOME.partial" "$WINE_HOME"
    mv "$WINE_HOME.partial" "$WINE_HOME"
    echo '<?xml version="1.0"?><fontconfig/>' >"$WINE_HOME/fonts.conf"
    touch "$WINE_HOME/.complete"
    rm -rf "$work"
}

write_commands() {
    cat >"$COMMANDS/wine10" <<SH
#!/bin/sh
: "\${WINEPREFIX:=\$HOME/.wine10}" "\${WINEDEBUG:=-all}" "\${WINEDLLOVERRIDES:=mscoree,mshtml=;winedbg.exe=d}"
: "\${XDG_RUNTIME_DIR:=\${TMPDIR:-/tmp}}"
WINESERVER=$WINE_HOME/usr/lib/wine/wineserver WINELOADER=$WINE_HOME/usr/lib/wine/wine64
FONTCONFIG_FILE=$WINE_HOME/fonts.conf
export WINEPREFIX WINEDEBUG WINEDLLOVERRIDES XDG_RUNTIME_DIR WINESERVER WINELOADER FONTCONFIG_FILE
if [ ! -e "\$WINEPREFIX/system.reg" ] && [ -e $TEMPLATE/system.reg ]; then
    mkdir -p "\$(dirname "\$WINEPREFIX")"
    (
        flock 9
        if [ ! -e "\$WINEPREFIX/system.reg" ]; then
            rm -rf "\$WINEPREFIX.new"
            cp -a --reflink=auto $TEMPLATE "\$WINEPREFIX.new" && chown -R "\$(id -u):\$(id -g)" "\$WINEPREFIX.new"
            mv "\$WINEPREFIX.new" "\$WINEPREFIX"
        fi
    ) 9>"\$WINEPREFIX.lock"
fi
exec "\$WINELOADER" "\$@"
SH
    cat >"$COMMANDS/wine10server" <<SH
#!/bin/sh
: "\${WINEPREFIX:=\$HOME/.wine10}"
export WINEPREFIX
exec $WINE_HOME/usr/lib/wine/wineserver64 "\$@"
SH
    cat >"$COMMANDS/wine10-runner" <<SH
#!/bin/sh
# A test that hangs must not hang the build.
exec timeout -k 5 "\${WINE_TEST_TIMEOUT:-600}" $COMMANDS/wine10 "\$@"
SH
    chmod 755 "$COMMANDS"/wine10 "$COMMANDS"/wine10server "$COMMANDS"/wine10-runner
}

# A fresh Windows to copy for each prefix: making one takes ten seconds, copying it less than one.
make_template() {
    [ -e "$TEMPLATE/system.reg" ] && return
    say "a fresh Windows"
    local work
    work=$(mktemp -d)
    export WINEPREFIX=$work/prefix
    timeout 170 "$COMMANDS/wine10" wineboot --init >"$work/log" 2>&1 || fail "wineboot: $(tail -n 5 "$work/log")"
    "$COMMANDS/wine10" reg add 'HKCU\Software\Wine' /v Version /d win10 /f >/dev/null 2>&1
    "$COMMANDS/wine10" reg add 'HKCU\Software\Wine\WineDbg' /v ShowCrashDialog /t REG_DWORD /d 0 /f >/dev/null 2>&1
    "$COMMANDS/wine10server" -w || true
    chmod -R a+rX "$WINEPREFIX"
    mv "$WINEPREFIX" "$TEMPLATE"
    rm -rf "$work"
}

[ "$(id -u)" = 0 ] || fail "run as root: it installs packages and writes $WINE_HOME"
[ "$(dpkg --print-architecture)" = amd64 ] || fail "amd64 only"
install_packages
install_wine
write_commands
make_template
