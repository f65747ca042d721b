#!/bin/sh
# Lets node_exporter read each captured machine and keeps what it says beside it: node_exporter.sh PROGRAM
# PROGRAM from: go install github.com/prometheus/node_exporter@v1.12.1
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for machine in "$here"/*/; do
    machine=${machine%/}
    # It does not start without a process of its own below procfs.
    mountstats=
    [ ! -e "$machine/proc/self" ] || mountstats=--collector.mountstats
    "$1" --web.listen-address=127.0.0.1:19100 --web.disable-exporter-metrics --log.level=error \
        --path.procfs="$machine/proc" --path.sysfs="$machine/sys" --path.rootfs="$machine" \
        --path.udev.data="$machine/run/udev/data" --collector.disable-defaults \
        --collector.conntrack --collector.cpu --collector.diskstats --collector.entropy --collector.filefd \
        --collector.filesystem --collector.hwmon --collector.infiniband --collector.loadavg --collector.meminfo \
        $mountstats --collector.netclass --collector.nvmesubsystem --collector.netdev \
        --no-collector.netdev.netlink --collector.nvme --collector.os --collector.pressure \
        --collector.sockstat --collector.stat --collector.time --collector.vmstat &
    exporter=$!
    until curl -sf http://127.0.0.1:19100/metrics -o "$machine/node_exporter.metrics"; do
        kill -0 "$exporter"
        sleep 0.1
    done
    kill "$exporter"
    wait "$exporter" || true
    # What it says of the machine it ran on, and of itself.
    sed -i -E '/^(# (HELP|TYPE) )?(node_time_(seconds|zone_offset_seconds)|node_scrape_collector_duration_seconds|node_exporter_build_info)[ {]/d
        /^node_filesystem_(size|free|avail)_bytes|^node_filesystem_files/s/ [^ ]+$/ 0/' "$machine/node_exporter.metrics"
done
