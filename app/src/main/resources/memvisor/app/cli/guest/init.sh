#!/bin/sh
# The first process of a Memvisor guest: mounts what programs expect, then runs one command or a shell.
export PATH=/bin:/sbin HOME=/root TERM=vt100
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox --install -s /bin
hostname memvisor
# Modules that were packed with --add, in the order of their names.
for module in /lib/modules/*.ko; do
  if [ -e "$module" ]; then insmod "$module"; fi
done

# memvisor.run="COMMAND" on the kernel's command line; without quotes, one word.
command=
read -r line </proc/cmdline
case $line in
  *memvisor.run=\"*) command=${line#*memvisor.run=\"} command=${command%%\"*} ;;
  *\"memvisor.run=*) command=${line#*\"memvisor.run=} command=${command%%\"*} ;;
  *memvisor.run=*) command=${line#*memvisor.run=} command=${command%% *} ;;
esac

cd /root
if [ -n "$command" ]; then
  sh -c "$command"
  echo "memvisor: exit status $?"
else
  echo "memvisor: a shell of $(uname -sr); exit powers the machine off"
  PS1='memvisor:\w# ' setsid cttyhack sh
fi
poweroff -f
