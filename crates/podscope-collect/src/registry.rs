//! Which collectors there are.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use podscope_model::event::EventSink;

use crate::collector::{Collector, Descriptor};
use crate::config::HostConfig;
use crate::ethtool::{self, Ethtool, EthtoolSource, KernelEthtool, LinkConfig};
use crate::fs::{HostFs, MemFs};
use crate::host;
use crate::nccl::NcclConfig;
use crate::nccl::inspector::{self, NcclInspector};
use crate::nccl::logs::{self, NcclLogs};
use crate::nccl::ras::{self, NcclRas, RasPort, RasSource};
use crate::rdma::{self, Rdma, RdmaConfig};
use crate::storage::latency::{self, IoLatency, IoSource, NoIo};
use crate::storage::nfs::{self, NfsMounts};
use crate::storage::nvme::{self, NvmePaths};

/// The host collectors that the config wants, in a fixed order. Whether the machine has what one of them reads is a
/// question for its [`Collector::detect`]; whether the config is right, for [`HostConfig::check`].
pub fn host_collectors(fs: Arc<dyn HostFs>, config: &HostConfig) -> Vec<Box<dyn Collector>> {
    host::ALL
        .iter()
        .map(|make| make(Arc::clone(&fs), config))
        .filter(|collector| config.runs(collector.descriptor().name))
        .collect()
}

/// What every host collector is, whatever the config wants.
pub fn host_descriptors() -> Vec<&'static Descriptor> {
    let config = HostConfig::default();
    let fs: Arc<dyn HostFs> = Arc::new(MemFs::new());
    host::ALL
        .iter()
        .map(|make| make(Arc::clone(&fs), &config).descriptor())
        .collect()
}

/// What the operator may decide about fabric, storage and NCCL.
#[derive(Clone, Debug, Default)]
pub struct DomainConfig {
    pub rdma: RdmaConfig,
    pub links: LinkConfig,
    pub nccl: NcclConfig,
}

/// What those collectors read that is no file: the kernel's, or a simulated machine's.
#[derive(Debug)]
pub struct DomainSources {
    pub ethtool: Box<dyn EthtoolSource>,
    pub io: Box<dyn IoSource>,
    pub ras: Box<dyn RasSource>,
}

impl DomainSources {
    /// NCCL's port, where nobody chose another.
    pub const RAS_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 28_028);
}

/// The kernel of this machine, nothing traced.
impl Default for DomainSources {
    fn default() -> Self {
        Self {
            ethtool: Box::new(KernelEthtool::default()),
            io: Box::new(NoIo(
                "storage.block_latency is off; it needs root and writes to tracefs",
            )),
            ras: Box::new(RasPort(Self::RAS_PORT)),
        }
    }
}

/// The collectors of fabric, storage and NCCL, in a fixed order. What happens goes to `events`.
pub fn domain_collectors(
    fs: &Arc<dyn HostFs>,
    config: &DomainConfig,
    sources: DomainSources,
    events: &Arc<dyn EventSink>,
) -> Vec<Box<dyn Collector>> {
    let fs = || Arc::clone(fs);
    let events = || Arc::clone(events);
    vec![
        Box::new(Rdma::new(fs(), config.rdma.clone())),
        Box::new(Ethtool::new(fs(), sources.ethtool, config.links.clone())),
        Box::new(NvmePaths::new(fs(), events())),
        Box::new(NfsMounts::new(fs())),
        Box::new(IoLatency::new(sources.io)),
        Box::new(NcclLogs::new(fs(), &config.nccl, events())),
        Box::new(NcclInspector::new(fs(), &config.nccl)),
        Box::new(NcclRas::new(sources.ras, fs(), events())),
    ]
}

/// What every collector of [`domain_collectors`] is.
pub fn domain_descriptors() -> [&'static Descriptor; 8] {
    [
        &rdma::DESCRIPTOR,
        &ethtool::DESCRIPTOR,
        &nvme::DESCRIPTOR,
        &nfs::DESCRIPTOR,
        &latency::DESCRIPTOR,
        &logs::DESCRIPTOR,
        &inspector::DESCRIPTOR,
        &ras::DESCRIPTOR,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_collector_has_its_own_name_and_its_own_metrics() {
        let mut names = HashSet::new();
        let mut metrics = HashSet::new();
        for descriptor in host_descriptors() {
            assert!(
                names.insert(descriptor.name),
                "{} is registered twice",
                descriptor.name
            );
            assert!(
                !descriptor.metrics.is_empty(),
                "{} writes nothing",
                descriptor.name
            );
            assert!(
                !descriptor.touches.is_empty(),
                "{} does not say what it touches",
                descriptor.name
            );
            for metric in descriptor.metrics {
                assert!(
                    metrics.insert(metric.name),
                    "{} is written by two collectors",
                    metric.name
                );
            }
        }
        let known: HashSet<&str> = podscope_model::catalog::host::ALL
            .iter()
            .map(|def| def.name)
            .collect();
        assert_eq!(
            metrics, known,
            "the catalog lists what no collector writes, or the other way round"
        );
    }

    #[test]
    fn every_metric_of_fabric_storage_and_nccl_is_written_by_one_collector() {
        use podscope_model::catalog::{nccl, storage};
        let mut metrics = HashSet::new();
        for descriptor in domain_descriptors() {
            assert!(!descriptor.touches.is_empty(), "{}", descriptor.name);
            for metric in descriptor.metrics {
                assert!(metrics.insert(metric.name), "{} is written twice", metric.name);
            }
        }
        let parts = [
            podscope_model::catalog::rdma::ALL,
            podscope_model::catalog::ethtool::ALL,
            storage::nvme::ALL,
            storage::nfs::ALL,
            storage::latency::ALL,
            nccl::logs::ALL,
            nccl::inspector::ALL,
            nccl::ras::ALL,
        ];
        let known: HashSet<&str> = parts.into_iter().flatten().map(|def| def.name).collect();
        assert_eq!(metrics, known);
        let fs: Arc<dyn HostFs> = Arc::new(MemFs::new());
        let events: Arc<dyn EventSink> = Arc::new(podscope_model::event::NoSink);
        let made = domain_collectors(&fs, &DomainConfig::default(), DomainSources::default(), &events);
        let names: Vec<&str> = made.iter().map(|one| one.descriptor().name).collect();
        assert_eq!(names, domain_descriptors().map(|one| one.name));
    }

    #[test]
    fn runs_what_the_config_wants() {
        let fs: Arc<dyn HostFs> = Arc::new(MemFs::new());
        let names = |config: &HostConfig| -> Vec<&str> {
            host_collectors(Arc::clone(&fs), config)
                .iter()
                .map(|one| one.descriptor().name)
                .collect()
        };
        let some = HostConfig {
            enabled: vec!["stat".into(), "meminfo".into()],
            ..HostConfig::default()
        };
        assert_eq!(names(&some), ["stat", "meminfo"]);
        let without = HostConfig {
            disabled: vec!["stat".into()],
            ..HostConfig::default()
        };
        assert_eq!(names(&without).len(), host_descriptors().len() - 1);
    }
}
