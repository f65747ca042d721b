#!/bin/sh
# Copies what the host collectors read of this machine into a folder: capture.sh FOLDER
# Run it on the machine itself, then take out what names it (see README.md).
set -eu
to=$1
copy() {
    for file in "$@"; do
        if [ -f "$file" ] && content=$(cat "$file" 2>/dev/null); then
            mkdir -p "$to$(dirname "$file")"
            printf '%s\n' "$content" >"$to$file"
        fi
    done
}
copy /proc/stat /proc/loadavg /proc/meminfo /proc/vmstat /proc/diskstats /proc/pressure/* \
    /proc/net/dev /proc/net/sockstat /proc/net/sockstat6 /proc/net/stat/nf_conntrack \
    /proc/sys/net/netfilter/nf_conntrack_count /proc/sys/net/netfilter/nf_conntrack_max \
    /proc/sys/fs/file-nr /proc/sys/kernel/random/entropy_avail /proc/sys/kernel/random/poolsize \
    /proc/1/mountinfo /etc/os-release /run/udev/data/b* \
    /sys/block/*/queue/rotational \
    /sys/devices/system/clocksource/clocksource*/*_clocksource \
    /sys/devices/system/cpu/isolated /sys/devices/system/cpu/cpu[0-9]*/online \
    /sys/devices/system/cpu/cpu[0-9]*/topology/core_id \
    /sys/devices/system/cpu/cpu[0-9]*/topology/physical_package_id \
    /sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/*_throttle_count \
    /sys/class/net/*/statistics/rx_nohandler
for device in /sys/class/net/*; do
    for name in addr_assign_type address broadcast carrier carrier_changes carrier_down_count carrier_up_count dev_id \
        dormant duplex flags ifalias ifindex iflink link_mode mtu name_assign_type netdev_group operstate speed \
        tx_queue_len type; do
        copy "$device/$name"
    done
done
copy /sys/class/nvme/nvme*/firmware_rev /sys/class/nvme/nvme*/model /sys/class/nvme/nvme*/serial \
    /sys/class/nvme/nvme*/state /sys/class/nvme/nvme*/cntlid
