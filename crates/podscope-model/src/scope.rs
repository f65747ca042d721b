//! Whose rows an answer may hold: what "only mine" means on a leaf (rule 11 of the design).

use serde::{Deserialize, Serialize};

/// One person's view of a store. A sample is shown when its metric is public, when its series' own `user` label is the
/// person's, or when the person owned the GPU, MIG slice or container of the series at that time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// As the label `user` has it. Empty: a person nobody knows, who owns nothing.
    pub name: String,
    /// Metrics everybody may see: names, or beginnings of names that end in `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub public: Vec<String>,
}

impl Scope {
    /// A person who sees what is theirs and nothing else.
    pub fn only(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            public: Vec::new(),
        }
    }

    /// Whether everybody may see the metric.
    pub fn is_public(&self, metric: &str) -> bool {
        self.public.iter().any(|known| match known.strip_suffix('*') {
            Some(beginning) => metric.starts_with(beginning),
            None => known == metric,
        })
    }

    /// Whether a series with this `user` label is the person's. Nobody's name is nobody's.
    pub fn is_named(&self, user: &str) -> bool {
        !self.name.is_empty() && self.name == user
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_metrics_are_whole_names_or_beginnings() {
        let scope = Scope {
            name: "alice".to_owned(),
            public: vec!["up".to_owned(), "slurm_*".to_owned()],
        };
        assert!(scope.is_public("up") && scope.is_public("slurm_jobs_pending"));
        assert!(!scope.is_public("upper") && !scope.is_public("node_load1"));
    }

    #[test]
    fn a_person_without_a_name_owns_nothing_not_even_what_has_no_user() {
        assert!(!Scope::only("").is_named(""));
        assert!(Scope::only("alice").is_named("alice"));
        assert!(!Scope::only("alice").is_named("Alice"));
    }
}
