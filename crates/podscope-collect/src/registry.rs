//! Which collectors there are.

use std::sync::Arc;

use crate::collector::{Collector, Descriptor};
use crate::config::HostConfig;
use crate::fs::{HostFs, MemFs};
use crate::host;

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
