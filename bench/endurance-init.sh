#!/bin/sh
# /init of bench/endurance: writes data, remembers its checksums, and verifies them for ever.
# A third of the data is random, a third compresses well, a third is the same in every guest.
export PATH=/bin:/sbin HOME=/root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox --install -s /bin
for module in /lib/modules/*.ko; do
  if [ -e "$module" ]; then insmod "$module"; fi
done

name=guest files=12 pause=5
read -r line </proc/cmdline
for word in $line; do
  case $word in
    endurance.name=*) name=${word#*=} ;;
    endurance.files=*) files=${word#*=} ;;
    endurance.pause=*) pause=${word#*=} ;;
  esac
done

mkdir -p /data
mount -t tmpfs -o size=75% tmpfs /data
cd /data || exit 1

# fill FILE ROUND: half a MiB, and its checksum beside it.
fill() {
  case $(($1 % 3)) in
    0) head -c 524288 /dev/urandom >"$1" ;;
    1) yes "$name, file $1, round $2" | head -c 524288 >"$1" ;;
    2) yes "the same in every guest, file $1" | head -c 524288 >"$1" ;;
  esac
  md5sum "$1" >"$1.sum"
}

# verify FILE: on a mismatch the word that the campaign looks for, and what is there now.
verify() {
  if md5sum -cs "$1.sum"; then return; fi
  echo "@@CORRUPT $name file $1: $(cat "$1.sum") was $(md5sum "$1")"
}

file=0
while [ "$file" -lt "$files" ]; do
  fill "$file" 0
  file=$((file + 1))
done
echo "@@ready $name"

round=0
while :; do
  round=$((round + 1))
  verify $((round % files))
  verify $(((round * 7 + 3) % files))
  if [ $((round % 3)) = 0 ]; then fill $((round / 3 % files)) "$round"; fi
  echo "@@verified $name $round"
  sleep "$pause"
done
