#!/bin/sh
# /init of the guest that bench/against-qemu measures. Each job is announced before and after on the serial
# console; the clock that counts is the harness's, because the guests' own clocks differ.
echo @@init
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev # for /dev/zero
echo 1 >/proc/sys/kernel/printk # nothing of the kernel's between our lines
jobs=none
scale=1
for word in $($b cat /proc/cmdline); do
  case $word in
    bench.jobs=*) jobs=${word#*=} ;;
    bench.scale=*) scale=${word#*=} ;;
  esac
done

# job NAME COMMAND: what it writes must be the same on every machine.
job() {
  echo "@@begin $1"
  sh -c "$2" >/tmp/out
  status=$?
  echo "@@end $1"
  [ $status = 0 ] || echo "@@failed $1"
  echo "@@check $1 $($b md5sum </tmp/out)"
}

if [ "$jobs" = all ]; then
  export b scale
  # Machine code is data that looks like something.
  i=0
  while [ $i -lt 40 ]; do
    $b cat $b
    i=$((i + 1))
  done | $b head -c $((67108864 / scale)) >/tmp/data
  $b awk -v n=$((200000 / scale)) 'BEGIN { x = 1; while (n-- > 0) { x = x * 16807; x -= int(x / 2147483647) * 2147483647; print x } }' >/tmp/lines
  $b cp /tmp/data /tmp/copy
  [ -w /sys/kernel/mm/transparent_hugepage/enabled ] && echo never >/sys/kernel/mm/transparent_hugepage/enabled

  job sha256sum '$b sha256sum </tmp/data'
  job gzip '$b head -c $((33554432 / scale)) /tmp/data | $b gzip -c | $b wc -c'
  job sort '$b sort /tmp/lines | $b md5sum'
  job awk '$b awk -v n=$((1000000 / scale)) "BEGIN { x = 1; s = 0; while (n-- > 0) { x = x * 16807; x -= int(x / 2147483647) * 2147483647; s += x / 7 } printf \"%.0f\\n\", s }"'
  job fork+exec 'i=0; while [ $i -lt $((2000 / scale)) ]; do $b true || exit; i=$((i + 1)); done; echo $i'
  # Four times 64 MiB over a file that is there already: two copies of each byte, and no new pages.
  job dd 'for i in 1 2 3 4; do $b dd if=/tmp/data of=/tmp/copy bs=1M conv=notrunc 2>/dev/null || exit; done; echo done'
  # A buffer is new memory: each of its 4 KiB pages faults once, and all go away with the process.
  job touch 'i=0; while [ $i -lt $((32 / scale)) ]; do $b dd if=/dev/zero of=/dev/null bs=32M count=1 2>/dev/null || exit; i=$((i + 1)); done; echo $i'
fi
echo @@done
$b poweroff -f
