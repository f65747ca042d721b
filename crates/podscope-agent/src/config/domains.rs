//! Sections about fabric, storage and NCCL.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use podscope_collect::ethtool::{LinkConfig, LinkLabels};
use podscope_collect::nccl::{NcclConfig as Nccl, check_pattern};
use podscope_collect::rdma::RdmaConfig;
use podscope_collect::storage::latency::TraceConfig;
use podscope_collect::{DomainConfig, DomainSources, Pattern};

use super::rules::Fault;
use super::section::section;
use super::{ByteSize, Config};

section! {
    /// Network cards: counters of RDMA devices, driver statistics, and where each link leads. `collectors.disabled` turns off
    /// `rdma` or `ethtool` alone.
    pub struct FabricConfig = "fabric" {
        /// RDMA devices that are read, as a regular expression. Empty: all of them. On restricted functions each reading puts a
        /// line into the kernel's log; name those below.
        rdma_device_include: Pattern = Pattern::default();
        /// RDMA devices left out, as a regular expression. Empty: none.
        rdma_device_exclude: Pattern = Pattern::default();
        /// Network devices whose driver is asked for its statistics, as a regular expression. Empty: every one with hardware
        /// behind it.
        ethtool_device_include: Pattern = Pattern::default();
        /// Network devices whose driver is not asked, as a regular expression. Empty: none.
        ethtool_device_exclude: Pattern = Pattern::default();
        /// Further driver statistics that get a series under node_exporter's name, as a regular expression over the driver's own
        /// names (`ethtool -S`). Empty: only those of `docs/metrics.md`.
        ethtool_further: Pattern = Pattern::default();
        /// Files with the output of `lldpcli -f json show neighbors`, read once a minute. Where systemd-networkd hears LLDP, none is
        /// needed.
        lldp_files: Vec<String> = LinkConfig::default().lldp_files;
        /// A regular expression over the name of the leaf switch, whose groups `fabric` and `rail` become labels of its links.
        leaf_pattern: Pattern = LinkConfig::default().leaf_pattern;
        /// Labels of single links, by network device or RDMA device: `fabric`, `rail`, `leaf`, `leaf_port`. They go before LLDP's.
        links: BTreeMap<String, LinkLabels> = BTreeMap::new(), "{ mlx5_0 = { fabric = \"a\", rail = \"0\" } }";
    }
}

section! {
    /// Storage as this node feels it. `collectors.disabled` turns off `nvme_paths`, `nfs` or `io_latency` alone.
    pub struct StorageConfig = "storage" {
        /// Measure the latency of single block requests and NFS calls, for percentiles. Needs root, and makes an instance of the
        /// kernel's trace buffer, which is removed when the agent ends: `docs/fabric-and-storage.md` names every file that is written.
        block_latency: bool = false;
        /// Measure local disks too, not only what leads off the machine (NVMe over RDMA, TCP, Fibre Channel).
        block_latency_local: bool = false;
        /// Trace buffer per CPU. What is issued faster than it is read each second is lost, and counted.
        trace_buffer: ByteSize = ByteSize(256 << 10);
    }
}

section! {
    /// NCCL: its messages in log files, its collectives, its own watch. `collectors.disabled` turns off `nccl_logs`,
    /// `nccl_inspector` or `nccl_ras` alone.
    pub struct NcclConfig = "nccl" {
        /// Log files with NCCL's warnings and errors, such as those of `NCCL_DEBUG_FILE` or the output of jobs and containers. Parts of a
        /// path may hold `*` and `?`. Rotated and truncated files are followed.
        log_files: Vec<String> = Vec::new();
        /// Files of NCCL Inspector (`NCCL_INSPECTOR_DUMP_DIR`), with `*` and `?` as above.
        inspector_files: Vec<String> = Vec::new();
        /// A regular expression over a file's path, whose group `job` is the job the file belongs to.
        job_pattern: Pattern = Nccl::default().job_pattern;
        /// Messages per second that become events in the long run. What is more is counted.
        events_per_second: u64 = 20;
        /// Leave out Inspector's records of other hosts: on a shared file system every node sees all of them.
        only_this_host: bool = true;
        /// Where NCCL's RAS listens on this machine (`NCCL_RAS_ADDR`).
        ras_address: SocketAddr = DomainSources::RAS_PORT;
    }
}

impl Config {
    /// What the collectors of fabric, storage and NCCL are made with; `positions` is where log positions are kept.
    pub fn domains(&self, positions: Option<std::path::PathBuf>) -> DomainConfig {
        let (fabric, nccl) = (&self.fabric, &self.nccl);
        DomainConfig {
            rdma: RdmaConfig {
                device_include: fabric.rdma_device_include.clone(),
                device_exclude: fabric.rdma_device_exclude.clone(),
            },
            links: LinkConfig {
                device_include: fabric.ethtool_device_include.clone(),
                device_exclude: fabric.ethtool_device_exclude.clone(),
                further: fabric.ethtool_further.clone(),
                lldp_files: fabric.lldp_files.clone(),
                leaf_pattern: fabric.leaf_pattern.clone(),
                links: fabric.links.clone(),
            },
            nccl: Nccl {
                log_files: nccl.log_files.clone(),
                inspector_files: nccl.inspector_files.clone(),
                job_pattern: nccl.job_pattern.clone(),
                events_per_second: nccl.events_per_second,
                only_this_host: nccl.only_this_host,
                positions_file: positions,
            },
        }
    }

    /// What is traced, if anything.
    pub fn trace(&self) -> Option<TraceConfig> {
        self.storage.block_latency.then_some(TraceConfig {
            only_remote: !self.storage.block_latency_local,
            buffer_kb: self.storage.trace_buffer.0 >> 10,
            tracefs: None,
        })
    }

    /// Values of these sections that make no sense.
    pub(super) fn faulty_domains(&self) -> Result<(), Fault> {
        let nccl = &self.nccl;
        for (key, patterns) in [
            ("log_files", &nccl.log_files),
            ("inspector_files", &nccl.inspector_files),
        ] {
            for pattern in patterns {
                if let Err(reason) = check_pattern(pattern) {
                    return Err(Fault::new(
                        &["nccl", key],
                        format!("{pattern:?} {reason}"),
                        "write absolute paths, with * and ? where they vary",
                    ));
                }
            }
        }
        if !(1..=1000).contains(&nccl.events_per_second) {
            return Err(Fault::new(
                &["nccl", "events_per_second"],
                format!("is {}", nccl.events_per_second),
                "use 1 to 1000; `collectors.disabled` turns the logs off",
            ));
        }
        if !nccl.ras_address.ip().is_loopback() {
            return Err(Fault::new(
                &["nccl", "ras_address"],
                format!("is {}", nccl.ras_address),
                "an agent asks its own machine only; use 127.0.0.1 and the port",
            ));
        }
        if !((16 << 10)..=(64 << 20)).contains(&self.storage.trace_buffer.0) {
            return Err(Fault::new(
                &["storage", "trace_buffer"],
                format!("is {}", self.storage.trace_buffer),
                "use \"16KiB\" to \"64MiB\" per CPU",
            ));
        }
        Ok(())
    }
}
