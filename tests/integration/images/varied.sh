#!/usr/bin/env bash
# varied.sh KIND LAYOUT PROGRAM: makes an OCI layout with an image of that kind, named "t", by umoci alone: what another
# tool writes, and can unpack again to compare. In each image PROGRAM is /probe. Works in the current directory, as root.
set -euo pipefail

readonly kind=$1 layout=$2 program=$3 root=bundle/rootfs

layer() { umoci repack --refresh-bundle --image "$layout:t" bundle; }
raw_layer() {  # raw_layer TAR-OPTION...: the files as tar writes them, which umoci would write otherwise
  tar --numeric-owner "$@" -cf raw.tar -C raw .
  umoci raw add-layer --image "$layout:t" raw.tar
  rm -rf raw raw.tar
}

begin() {
  umoci init --layout "$layout"
  umoci new --image "$layout:t"
  umoci unpack --image "$layout:t" bundle
  mkdir -p "$root"/{etc,tmp,proc,dev,sys,run,workspace}
  chmod 1777 "$root/tmp"
  cp "$program" "$root/probe"
  echo root:x:0:0::/:/bin/sh >"$root/etc/passwd"
  layer
}

# Files that are changed, replaced by another kind, removed and made again, in twelve layers.
many_layers() {
  local n
  for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
    mkdir -p "$root/of/$n"
    echo "$n" >"$root/of/$n/file"
    echo "$n" >>"$root/of/changed"
    rm -rf "$root/of/replaced" "$root/of/$((n - 2))"
    if [ $((n % 2)) = 0 ]; then mkdir "$root/of/replaced"; else echo x >"$root/of/replaced"; fi
    layer
  done
}

# Removed: a file, a link, a tree, everything in a directory; and names that look like marks.
whiteouts() {
  mkdir -p "$root"/d/{tree/deep/deeper,emptied,stays}
  touch "$root"/d/{file,other} "$root"/d/tree/deep/deeper/file "$root"/d/emptied/{a,b,.hidden} "$root"/d/stays/wh.file
  ln -s file "$root/d/link"
  layer
  rm -r "$root"/d/{file,link,tree} "$root"/d/emptied/{a,b,.hidden}
  layer
  mkdir "$root/d/tree"
  touch "$root/d/tree/new" "$root/d/file"
  layer
}

# A directory that hides what lies below, and has something itself; twice.
opaque() {
  mkdir -p "$root"/o/{one,two/below}
  touch "$root"/o/one/{a,b} "$root"/o/two/below/file
  layer
  mkdir -p raw/o/one raw/o/two
  touch raw/o/one/{.wh..wh..opq,new} raw/o/two/.wh..wh..opq
  raw_layer
  mkdir -p raw/o/two/below
  touch raw/o/two/below/another
  raw_layer
}

# Links to files of the same layer, across directories, of a set-user-ID file; one of them removed later.
hard_links() {
  mkdir -p "$root"/h/{a,b/c}
  echo one >"$root/h/a/one"
  ln "$root/h/a/one" "$root/h/b/one"
  ln "$root/h/a/one" "$root/h/b/c/uno"
  echo two >"$root/h/z"
  chmod 4755 "$root/h/z"
  ln "$root/h/z" "$root/h/a/z"
  mkfifo "$root/h/fifo"
  layer
  rm "$root/h/a/one"
  layer
}

xattrs() {
  mkdir -p "$root/x/directory"
  touch "$root"/x/{file,empty,binary}
  setfattr -n user.name -v value "$root/x/file"
  setfattr -n user.other -v "$(printf 'v%.0s' {1..900})" "$root/x/file"
  setfattr -n user.empty "$root/x/empty"
  setfattr -n user.bytes -v 0x00ff0a3d20 "$root/x/binary"
  setfattr -n user.of-directory -v d "$root/x/directory"
  layer
  setfattr -n user.name -v changed "$root/x/file"
  setfattr -x user.other "$root/x/file"
  layer
}

# CAP_NET_RAW and CAP_NET_BIND_SERVICE, permitted and effective: what setcap(8) writes.
capabilities() {
  mkdir -p "$root/c"
  cp "$program" "$root/c/ping"
  setfattr -n security.capability -v 0x0100000200240000000000000000000000000000 "$root/c/ping"
  cp "$program" "$root/c/both"
  chmod 2755 "$root/c/both"
  chown 0:5 "$root/c/both"
  chmod 2755 "$root/c/both"
  setfattr -n security.capability -v 0x0000000200040000000000000000000000000000 "$root/c/both"
  layer
}

# As GNU tar writes them, in each form that umoci can read.
sparse() {
  local form
  for form in 0.0 0.1 1.0; do
    mkdir -p "raw/s/$form"
    truncate -s 8M "raw/s/$form/hole"
    echo begin >"raw/s/$form/both" && truncate -s 5M "raw/s/$form/both" && echo end >>"raw/s/$form/both"
    raw_layer --sparse --format=posix "--sparse-version=$form"
  done
}

# Owners, modes and times at their ends.
owners() {
  local name
  mkdir -p "$root"/w/{sticky,setgid,closed/inside,root-like}
  for name in 0 1 999 1000 65533 65534 65535; do
    touch "$root/w/$name"
    chown "$name:$name" "$root/w/$name"
  done
  touch "$root"/w/{0000,4711,2755,7777,closed/inside/file}
  chmod 0 "$root/w/0000" && chmod 4711 "$root/w/4711" && chmod 2755 "$root/w/2755" && chmod 7777 "$root/w/7777"
  chown 33:44 "$root/w/closed" && chmod 0 "$root/w/closed"
  chmod 1777 "$root/w/sticky" && chown 0:8 "$root/w/setgid" && chmod 2775 "$root/w/setgid"
  touch -d '1969-12-31T23:59:58Z' "$root/w/1"
  touch -d '2112-09-03T01:02:03.123456789Z' "$root/w/999"
  ln -s 0 "$root/w/link" && chown -h 1000:50 "$root/w/link"
  touch -h -d '2001-02-03T04:05:06Z' "$root/w/link"
  touch -d '1999-01-01T00:00:00.5Z' "$root/w/sticky" "$root/w/closed/inside"
  layer
}

# Links of all kinds, and names of all lengths and bytes.
names() {
  local long
  long=$(printf 'n%.0s' {1..255})
  mkdir -p "$root/n/$long/$long/$long"
  touch "$root/n/$long/$long/$long/file" "$root/n/ä ö" "$root/n/$(printf 'new\nline')" "$root/n/$(printf 'bytes\xff\xfe')" \
    "$root/n/-dash" "$root/n/back\\slash" "$root/n/.wh" "$root/n/x.wh.x"
  ln -s /absolute "$root/n/absolute" && ln -s ../../.. "$root/n/up" && ln -s loop "$root/n/loop"
  ln -s "$long" "$root/n/to-long" && ln -s "$(printf 't/%.0s' {1..300})end" "$root/n/long-target"
  ln -s nowhere "$root/n/dangling"
  layer
  rm "$root/n/up" && mkdir "$root/n/up" && touch "$root/n/up/file"
  rm -r "${root:?}/n/$long" && ln -s dangling "$root/n/$long"
  layer
}

# Layers that do not contain the directories that they use: those are as the layers below have them.
parents() {
  mkdir -p "$root"/p/{owned/deep/deeper,seen}
  chown -R 1000:50 "$root/p/owned" && chmod 0700 "$root/p/owned" && chmod 2770 "$root/p/owned/deep"
  setfattr -n user.of-lower -v x "$root/p/owned/deep"
  touch -d '1988-08-08T08:08:08Z' "$root"/p/{owned/deep/deeper,owned/deep,owned,seen} "$root/p"
  chmod 0750 "$root/p"
  layer
  mkdir -p raw/p/owned/deep/deeper && touch raw/p/owned/deep/deeper/file
  tar --numeric-owner --no-recursion -cf raw.tar -C raw p/owned/deep/deeper/file
  umoci raw add-layer --image "$layout:t" raw.tar
  touch raw/p/owned/second
  tar --numeric-owner --no-recursion -cf raw.tar -C raw p/owned/second
  umoci raw add-layer --image "$layout:t" raw.tar
}

# Absolute links as parents, in one layer with where they lead; and whiteouts through them.
absolute_links() {
  mkdir -p "$root"/al/usr/{lib,share}
  touch "$root"/al/usr/lib/{old,kept}
  layer
  mkdir -p raw/al/usr/lib/sub
  tar --numeric-owner --no-recursion -cf raw.tar -C raw al/usr/lib al/usr/lib/sub
  ln -s /al/usr/lib raw/al/lib && ln -s /al/lib raw/al/lib64 && ln -s ../lib/sub raw/al/usr/up
  tar --numeric-owner -rf raw.tar -C raw al/lib al/lib64 al/usr/up
  rm raw/al/lib raw/al/lib64 raw/al/usr/up
  mkdir -p raw/al/lib/{sub,new} raw/al/lib64 raw/al/usr/up
  echo one >raw/al/lib/one && echo two >raw/al/lib64/two && echo three >raw/al/usr/up/three && echo four >raw/al/lib/new/four
  touch raw/al/lib/.wh.old && chmod 0711 raw/al/lib/new && touch -d '2004-04-04T04:04:04Z' raw/al/lib/new
  tar --numeric-owner --no-recursion -rf raw.tar -C raw al/lib/one al/lib64/two al/usr/up/three al/lib/.wh.old al/lib/new/four \
    al/lib/new al/usr/lib  # at last: umoci leaves a directory the time of a removal through a link
  umoci raw add-layer --image "$layout:t" raw.tar
}

# Docker's old builders' form: parents are not in the layer, and a directory's own entry comes behind what it holds.
disorder() {
  mkdir -p raw/late/inside raw/without/parents
  touch raw/late/inside/file raw/without/parents/file
  chmod 0750 raw/late && touch -d '2005-05-05T05:05:05Z' raw/late/inside raw/late
  tar --numeric-owner --no-recursion -cf raw.tar -C raw ./late/inside/file ./late/inside ./late ./without ./without/parents \
    ./without/parents/file
  umoci raw add-layer --image "$layout:t" raw.tar
}

begin
"$kind"
