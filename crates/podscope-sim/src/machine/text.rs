//! What changes from second to second below `/proc` and `/sys`, in the kernel's words.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use podscope_collect::{Mount, VfsStat};

use super::{Counters, Disk, MEMORY_KB, Machine, Network, SECTOR};
use crate::noise::smooth;

/// Writes into memory, which cannot fail.
pub(super) fn put(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    drop(out.write_fmt(text));
}

impl Machine {
    pub(super) fn write(&self) {
        let (fs, load, counters) = (&self.fs, &self.load, &self.counters);
        fs.set_now(Duration::from_millis(self.at_ms.unsigned_abs()));
        fs.rewrite("/proc/stat", |out| self.write_stat(out));
        let running = (load.cpu * counters.cpus.len() as f64).round() + 1.0;
        fs.rewrite("/proc/loadavg", |out| {
            let [one, five, fifteen] = self.loads;
            put(
                out,
                format_args!(
                    "{one:.2} {five:.2} {fifteen:.2} {running:.0}/1423 {:.0}\n",
                    4_000.0 + counters.forks
                ),
            );
        });
        fs.rewrite("/proc/meminfo", |out| self.write_meminfo(out));
        fs.rewrite("/proc/vmstat", |out| {
            let Counters {
                paged_in,
                paged_out,
                faults,
                ..
            } = counters;
            put(
                out,
                format_args!(
                    "pgpgin {paged_in:.0}\npgpgout {paged_out:.0}\npswpin 0\npswpout 0\npgfault {faults:.0}\n"
                ),
            );
            put(
                out,
                format_args!("pgmajfault {:.0}\noom_kill 0\n", faults / 5_000.0),
            );
        });
        let [cpu, io, io_full, memory, memory_full] = counters.stalled;
        for (path, some, full) in [
            ("/proc/pressure/cpu", cpu, 0.0),
            ("/proc/pressure/io", io, io_full),
            ("/proc/pressure/memory", memory, memory_full),
        ] {
            fs.rewrite(path, |out| {
                put(
                    out,
                    format_args!("some avg10=0.00 avg60=0.00 avg300=0.00 total={some:.0}\n"),
                );
                put(
                    out,
                    format_args!("full avg10=0.00 avg60=0.00 avg300=0.00 total={full:.0}\n"),
                );
            });
        }
        fs.rewrite("/proc/diskstats", |out| {
            for (at, disk) in counters.disks.iter().enumerate() {
                let Disk {
                    reads,
                    read_sectors,
                    read_ms,
                    writes,
                    written_sectors,
                    write_ms,
                    busy_ms,
                    in_flight,
                } = disk;
                put(
                    out,
                    format_args!(" 259 {at} nvme{at}n1 {reads:.0} 0 {read_sectors:.0} {read_ms:.0} "),
                );
                put(
                    out,
                    format_args!("{writes:.0} 0 {written_sectors:.0} {write_ms:.0} {in_flight:.0} "),
                );
                put(
                    out,
                    format_args!("{busy_ms:.0} {:.0} 0 0 0 0 0 0\n", read_ms + write_ms),
                );
            }
            if let Some(pod) = &self.pod {
                let disk = pod.disk();
                put(
                    out,
                    format_args!(
                        " 259 2 nvme2n1 {:.0} 0 {:.0} {:.0} ",
                        disk.reads,
                        disk.read_bytes / SECTOR,
                        disk.read_seconds * 1_000.0
                    ),
                );
                put(
                    out,
                    format_args!(
                        "{:.0} 0 {:.0} {:.0} {:.0} ",
                        disk.writes,
                        disk.written_bytes / SECTOR,
                        disk.write_seconds * 1_000.0,
                        disk.in_flight
                    ),
                );
                put(
                    out,
                    format_args!(
                        "{:.0} {:.0} 0 0 0 0 0 0\n",
                        disk.busy_seconds * 1_000.0,
                        (disk.read_seconds + disk.write_seconds) * 1_000.0
                    ),
                );
            }
        });
        fs.rewrite("/proc/net/dev", |out| {
            put(out, format_args!("Inter-|   Receive                                                |  Transmit\n"));
            put(out, format_args!(" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"));
            for (name, Network { rx, tx }) in ["lo", "eth0", "ib0"].iter().zip(counters.networks) {
                let packets = |bytes: f64| bytes / 1_900.0;
                put(out, format_args!("{name:>6}: {rx:.0} {:.0} 0 0 0 0 0 0 {tx:.0} {:.0} 0 0 0 0 0 0\n", packets(rx), packets(tx)));
            }
        });
        let sockets = 220.0 + load.requests * 3.0;
        fs.rewrite("/proc/net/sockstat", |out| {
            put(out, format_args!("sockets: used {sockets:.0}\nTCP: inuse {:.0} orphan 0 tw {:.0} alloc {sockets:.0} mem 84\n", sockets * 0.4, load.requests));
            put(out, format_args!("UDP: inuse 9 mem 3\nUDPLITE: inuse 0\nRAW: inuse 1\nFRAG: inuse 0 memory 0\n"));
        });
        let files = 3_000.0 + 8.0 * sockets;
        fs.rewrite("/proc/sys/fs/file-nr", |out| {
            put(out, format_args!("{files:.0}\t0\t9223372036854775807\n"))
        });
        fs.rewrite("/proc/sys/net/netfilter/nf_conntrack_count", |out| {
            put(out, format_args!("{sockets:.0}\n"))
        });
        let seconds = (self.at_ms - self.origin_ms) as f64 / 1_000.0;
        let degrees = 38.0 + 40.0 * load.cpu + smooth(self.seed, 60, seconds, 60.0);
        fs.rewrite("/sys/class/hwmon/hwmon0/temp1_input", |out| {
            put(out, format_args!("{:.0}\n", degrees * 1_000.0))
        });
        self.write_mounts(seconds);
    }

    fn write_stat(&self, out: &mut Vec<u8>) {
        let counters = &self.counters;
        let mut sum = [0.0; 8];
        for cpu in &counters.cpus {
            for (total, ticks) in sum.iter_mut().zip(cpu) {
                *total += ticks;
            }
        }
        let line = |out: &mut Vec<u8>, ticks: &[f64; 8]| {
            for value in ticks {
                put(out, format_args!(" {value:.0}"));
            }
            put(out, format_args!(" 0 0\n"));
        };
        put(out, format_args!("cpu "));
        line(out, &sum);
        for (at, cpu) in counters.cpus.iter().enumerate() {
            put(out, format_args!("cpu{at}"));
            line(out, cpu);
        }
        let running = (self.load.cpu * counters.cpus.len() as f64).round() + 1.0;
        let blocked = (self.load.waiting * counters.cpus.len() as f64).round();
        put(
            out,
            format_args!("intr {:.0}\nctxt {:.0}\n", counters.interrupts, counters.switches),
        );
        put(
            out,
            format_args!(
                "btime {}\nprocesses {:.0}\n",
                self.origin_ms / 1_000,
                4_000.0 + counters.forks
            ),
        );
        put(
            out,
            format_args!("procs_running {running:.0}\nprocs_blocked {blocked:.0}\n"),
        );
    }

    fn write_meminfo(&self, out: &mut Vec<u8>) {
        let used = MEMORY_KB * self.load.memory;
        let cached = (MEMORY_KB * 0.25).min(MEMORY_KB - used);
        let free = MEMORY_KB - used - cached;
        let lines: [(&str, f64); 24] = [
            ("MemTotal", MEMORY_KB),
            ("MemFree", free),
            ("MemAvailable", free + cached * 0.97),
            ("Buffers", 812_344.0),
            ("Cached", cached - 812_344.0),
            ("SwapCached", 0.0),
            ("Active", used * 0.6 + cached * 0.4),
            ("Inactive", used * 0.3 + cached * 0.5),
            ("Active(anon)", used * 0.6),
            ("Inactive(anon)", used * 0.2),
            ("Active(file)", cached * 0.4),
            ("Inactive(file)", cached * 0.5),
            ("Unevictable", 24_576.0),
            ("Mlocked", 24_576.0),
            ("SwapTotal", 0.0),
            ("SwapFree", 0.0),
            ("Dirty", self.load.disk_write / 1_024.0 * 2.0),
            ("Writeback", 0.0),
            ("AnonPages", used * 0.8),
            ("Mapped", used * 0.1),
            ("Shmem", used * 0.15),
            ("Slab", 3_211_000.0),
            ("PageTables", used * 0.002),
            ("Committed_AS", used * 1.4),
        ];
        for (name, kilobytes) in lines {
            put(out, format_args!("{name}: {kilobytes:.0} kB\n"));
        }
        put(
            out,
            format_args!("HugePages_Total: 0\nHugePages_Free: 0\nHugepagesize: 2048 kB\n"),
        );
    }

    fn write_mounts(&self, seconds: f64) {
        const BLOCK: u64 = 4_096;
        let mount = |path: &str, gigabytes: u64, used: f64| {
            let blocks = gigabytes * 1_000_000_000 / BLOCK;
            let free = blocks - (blocks as f64 * used.clamp(0.0, 1.0)) as u64;
            let files = gigabytes * 65_536;
            let stat = VfsStat {
                block_size: BLOCK,
                blocks,
                blocks_free: free,
                blocks_available: free - free / 20,
                files,
                files_free: files - (files as f64 * used * 0.3) as u64,
            };
            self.fs.set_mount(path, Mount::Answers(stat));
        };
        // Checkpoints pile up and are swept every six hours.
        let swept = (seconds / 21_600.0).fract();
        mount("/", 480, if self.disk_full { 0.96 } else { 0.31 });
        mount("/scratch", 15_360, 0.22 + 0.35 * swept);
        mount("/home", 200_000, 0.64 + 0.01 * smooth(1, 61, seconds, 3_600.0));
    }
}
