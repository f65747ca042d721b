//! One simulated machine: what its `/proc` and `/sys` say and what its GPUs read, moved on from moment to moment under the
//! load of the jobs it runs.

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use podscope_collect::gpu::sim::SimGpus;
use podscope_collect::{MemFs, Mount, Uname, VfsStat};

use crate::gpu::GpuModel;
use crate::noise::{hash, smooth, unit};
use crate::workload::{Load, Workload};

const GPU_MODEL: &str = "NVIDIA H100 80GB HBM3";
/// Ticks of the kernel's clock per second, as `/proc/stat` counts.
const TICKS: f64 = 100.0;
const MEMORY_KB: f64 = 1_056_000_000.0;
const SECTOR: f64 = 512.0;

/// Counters that only rise.
#[derive(Clone, Debug, Default)]
struct Counters {
    /// user, nice, system, idle, iowait, irq, softirq, steal; in ticks, per CPU.
    cpus: Vec<[f64; 8]>,
    interrupts: f64,
    switches: f64,
    forks: f64,
    paged_in: f64,
    paged_out: f64,
    faults: f64,
    /// Microseconds: cpu some; io some, full; memory some, full.
    stalled: [f64; 5],
    disks: [Disk; 2],
    networks: [Network; 3],
}

#[derive(Clone, Copy, Debug, Default)]
struct Disk {
    reads: f64,
    read_sectors: f64,
    read_ms: f64,
    writes: f64,
    written_sectors: f64,
    write_ms: f64,
    busy_ms: f64,
    in_flight: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Network {
    rx: f64,
    tx: f64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Machine {
    seed: u64,
    index: usize,
    workload: Arc<Workload>,
    fs: Arc<MemFs>,
    gpus: SimGpus,
    models: Vec<GpuModel>,
    /// When its history begins.
    origin_ms: i64,
    at_ms: i64,
    counters: Counters,
    loads: [f64; 3],
    load: Load,
    disk_full: bool,
}

/// Writes into memory, which cannot fail.
fn put(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    drop(out.write_fmt(text));
}

impl Machine {
    /// A machine that was switched on at `origin_ms`.
    pub(crate) fn new(
        seed: u64,
        index: usize,
        name: &str,
        (cpus, gpus): (u32, u32),
        workload: Arc<Workload>,
        origin_ms: i64,
    ) -> Self {
        let seed = hash(seed, 0x6e6f_6465, index as u64);
        // The second node's sixth GPU (or the last, where there are fewer) has a loose heat sink.
        let loose = (index == 1).then(|| 5.min(gpus.saturating_sub(1)));
        let models = (0..gpus)
            .map(|gpu| GpuModel::new(hash(seed, 1, u64::from(gpu)), loose == Some(gpu)))
            .collect();
        let machine = Self {
            seed,
            index,
            workload,
            fs: Arc::new(MemFs::new()),
            gpus: SimGpus::new(gpus, GPU_MODEL, seed & 0xffff_ffff_ffff),
            models,
            origin_ms,
            at_ms: origin_ms,
            counters: Counters {
                cpus: vec![[0.0; 8]; cpus as usize],
                ..Counters::default()
            },
            loads: [0.5; 3],
            load: Load::default(),
            disk_full: false,
        };
        machine.write_what_never_changes(name);
        machine
    }

    pub(crate) fn fs(&self) -> Arc<MemFs> {
        Arc::clone(&self.fs)
    }

    pub(crate) fn gpus(&self) -> &SimGpus {
        &self.gpus
    }

    /// The load it was last moved on under.
    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    /// When it was last moved on.
    pub(crate) fn at_ms(&self) -> i64 {
        self.at_ms
    }

    /// Whether the root file system is nearly full from the next move on.
    pub(crate) fn fill_disk(&mut self, full: bool) {
        self.disk_full = full;
    }

    /// Moves everything on to `at_ms`.
    pub(crate) fn advance(&mut self, at_ms: i64) {
        let elapsed = (at_ms - self.at_ms) as f64 / 1_000.0;
        if elapsed <= 0.0 {
            return;
        }
        self.at_ms = at_ms;
        let seconds = (at_ms - self.origin_ms) as f64 / 1_000.0;
        self.load = self.workload.at(self.index, seconds);
        self.count(seconds, elapsed);
        self.move_gpus(seconds, elapsed);
        self.write();
    }

    fn move_gpus(&mut self, seconds: f64, elapsed: f64) {
        let (models, load) = (&mut self.models, &self.load);
        self.gpus.change(|state| {
            for (at, (model, wanted)) in models.iter_mut().zip(&load.gpus).enumerate() {
                let Some(gpu) = state.gpus.get_mut(at) else {
                    continue;
                };
                if let Some(xid) = model.advance(seconds, elapsed, wanted, gpu) {
                    state.raise_xid(at, xid);
                }
            }
        });
    }

    fn count(&mut self, seconds: f64, elapsed: f64) {
        let (load, counters) = (&self.load, &mut self.counters);
        let ticks = elapsed * TICKS;
        for (at, cpu) in counters.cpus.iter_mut().enumerate() {
            let own = 1.0 + 0.3 * smooth(self.seed, 40 + at as u64, seconds, 15.0);
            let busy = (load.cpu * own).clamp(0.0, 0.97);
            let waiting = load.waiting.min(1.0 - busy);
            let shares = [
                busy * 0.78,
                0.0,
                busy * 0.18,
                1.0 - busy - waiting,
                waiting,
                0.0,
                busy * 0.04,
                0.0,
            ];
            for (counter, share) in cpu.iter_mut().zip(shares) {
                *counter += share * ticks;
            }
        }
        let cpus = counters.cpus.len() as f64;
        counters.interrupts += elapsed * (4_000.0 + 90_000.0 * load.cpu);
        counters.switches += elapsed * (6_000.0 + 240_000.0 * load.cpu);
        counters.forks += elapsed * (2.0 + 20.0 * load.cpu);
        counters.paged_in += elapsed * load.disk_read / 1_024.0;
        counters.paged_out += elapsed * load.disk_write / 1_024.0;
        counters.faults += elapsed * (2_000.0 + 60_000.0 * load.cpu);
        let stalled = [
            load.cpu * load.cpu * 0.2,
            load.waiting,
            load.waiting * 0.6,
            0.0,
            0.0,
        ];
        for (counter, share) in counters.stalled.iter_mut().zip(stalled) {
            *counter += share * elapsed * 1e6;
        }
        // The first disk holds the system, the second the data.
        let traffic = [
            (1e4, 4e5),
            (load.disk_read + 3e4, (load.disk_write - 4e5).max(0.0) + 2e4),
        ];
        for (disk, (read, written)) in counters.disks.iter_mut().zip(traffic) {
            let (reads, writes) = (read / 131_072.0, written / 262_144.0);
            disk.reads += (reads * elapsed).ceil();
            disk.read_sectors += read * elapsed / SECTOR;
            disk.read_ms += reads * elapsed * 0.4;
            disk.writes += (writes * elapsed).ceil();
            disk.written_sectors += written * elapsed / SECTOR;
            disk.write_ms += writes * elapsed * 0.8;
            let busy = (read / 6.5e9 + written / 5.0e9).min(1.0);
            disk.busy_ms += busy * elapsed * 1_000.0;
            disk.in_flight = (busy * 24.0).round();
        }
        // Loopback, management, and the fabric that carries the jobs' traffic.
        let lo = 2e4 + 1e5 * load.requests;
        let traffic = [
            (lo, lo),
            (load.net_rx.min(1e9), load.net_tx.min(1e9)),
            (load.net_rx, load.net_tx),
        ];
        for (network, (rx, tx)) in counters.networks.iter_mut().zip(traffic) {
            network.rx += rx * elapsed;
            network.tx += tx * elapsed;
        }
        for (average, minutes) in self.loads.iter_mut().zip([1.0, 5.0, 15.0]) {
            let running = (load.cpu + load.waiting) * cpus;
            *average += (running - *average) * (1.0 - (-elapsed / (minutes * 60.0)).exp());
        }
    }

    fn write(&self) {
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

    fn write_what_never_changes(&self, name: &str) {
        let fs = &self.fs;
        fs.set_uname(Uname {
            sysname: "Linux".to_owned(),
            release: "6.8.0-45-generic".to_owned(),
            version: "#45-Ubuntu SMP PREEMPT_DYNAMIC".to_owned(),
            machine: "x86_64".to_owned(),
            nodename: name.to_owned(),
            domainname: "(none)".to_owned(),
        });
        fs.write(
            "/etc/os-release",
            "NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\nPRETTY_NAME=\"Ubuntu 24.04.1 LTS\"\nVERSION=\"24.04.1 LTS (Noble Numbat)\"\nVERSION_CODENAME=noble\nVERSION_ID=\"24.04\"\n",
        );
        fs.write("/proc/sys/kernel/random/entropy_avail", "256\n");
        fs.write("/proc/sys/kernel/random/poolsize", "256\n");
        fs.write("/proc/sys/net/netfilter/nf_conntrack_max", "262144\n");
        fs.write(
            "/proc/1/mountinfo",
            "24 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1 rw\n\
             31 24 0:22 / /proc rw,nosuid shared:2 - proc proc rw\n\
             40 24 259:1 / /scratch rw,noatime shared:3 - xfs /dev/nvme1n1 rw\n\
             44 24 0:51 / /home rw,relatime shared:4 - nfs4 storage:/home rw\n",
        );
        fs.write(
            "/sys/devices/system/clocksource/clocksource0/available_clocksource",
            "tsc hpet acpi_pm\n",
        );
        fs.write(
            "/sys/devices/system/clocksource/clocksource0/current_clocksource",
            "tsc\n",
        );
        fs.write("/sys/class/hwmon/hwmon0/name", "coretemp\n");
        fs.write("/sys/class/hwmon/hwmon0/temp1_label", "Package id 0\n");
        fs.write("/sys/class/hwmon/hwmon0/temp1_crit", "100000\n");
        fs.write("/sys/class/hwmon/hwmon0/temp1_max", "90000\n");
        for cpu in 0..self.counters.cpus.len() {
            let folder = format!("/sys/devices/system/cpu/cpu{cpu}");
            fs.write(&format!("{folder}/topology/physical_package_id"), "0\n");
            fs.write(&format!("{folder}/topology/core_id"), format!("{cpu}\n"));
            fs.write(&format!("{folder}/thermal_throttle/core_throttle_count"), "0\n");
            fs.write(
                &format!("{folder}/thermal_throttle/package_throttle_count"),
                "0\n",
            );
        }
        let devices = [
            ("lo", "00:00:00:00:00:00", 65_536, "772", -1),
            ("eth0", "", 1_500, "1", 25_000),
            ("ib0", "", 4_092, "32", 400_000),
        ];
        for (at, (device, address, mtu, kind, speed)) in devices.into_iter().enumerate() {
            let folder = format!("/sys/class/net/{device}");
            let attribute = |name: &str, value: String| fs.write(&format!("{folder}/{name}"), value + "\n");
            let made = format!(
                "02:00:{at:02x}:{:02x}:{:02x}:01",
                self.index >> 8 & 0xff,
                self.index & 0xff
            );
            attribute(
                "address",
                if address.is_empty() {
                    made
                } else {
                    address.to_owned()
                },
            );
            attribute(
                "operstate",
                if device == "lo" { "unknown" } else { "up" }.to_owned(),
            );
            attribute("flags", "0x1003".to_owned());
            attribute("carrier", "1".to_owned());
            attribute("ifindex", (at + 1).to_string());
            attribute("mtu", mtu.to_string());
            attribute("type", kind.to_owned());
            attribute("tx_queue_len", "1000".to_owned());
            if speed > 0 {
                attribute("speed", speed.to_string());
                attribute("duplex", "full".to_owned());
            }
        }
        for disk in 0..2 {
            let folder = format!("/sys/class/nvme/nvme{disk}");
            let sectors: u64 = if disk == 0 { 937_703_088 } else { 30_005_842_608 };
            let serial = format!("S{:08X}", hash(self.seed, 70, disk) >> 32);
            for (file, text) in [
                ("firmware_rev", "GDC7502Q".to_owned()),
                ("model", "SAMSUNG MZWLO15THBLA".to_owned()),
                ("serial", serial),
                ("state", "live".to_owned()),
                ("cntlid", "1".to_owned()),
            ] {
                fs.write(&format!("{folder}/{file}"), text + "\n");
            }
            let namespace = format!("{folder}/nvme{disk}n1");
            fs.write(&format!("{namespace}/size"), format!("{sectors}\n"));
            fs.write(
                &format!("{namespace}/nuse"),
                format!("{}\n", (sectors as f64 * unit(self.seed, 71, disk)) as u64),
            );
            fs.write(&format!("{namespace}/queue/logical_block_size"), "512\n");
            fs.write(&format!("/sys/block/nvme{disk}n1/queue/rotational"), "0\n");
        }
    }
}
