//! The history under its node's name: every series gets `instance` and the node labels when it is read, so that neither
//! is stored and both may change.

use std::collections::BTreeMap;

use podscope_model::cells::{CellColumns, CellSeries, Need, Resolution};
use podscope_model::labels::{Label, Labels};
use podscope_model::matcher::{MatchOp, Matcher};
use podscope_model::sample::SeriesData;
use podscope_model::source::{Budget, Select, SeriesSource, SourceError};

/// The label that names the node.
pub const INSTANCE: &str = "instance";

/// The labels a node puts onto its series.
pub fn node_labels(instance: &str, labels: &BTreeMap<String, String>) -> Labels {
    let pairs = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Labels::from_pairs(pairs.chain([(INSTANCE, instance)]))
}

/// A store whose series carry `node` too. Where a stored series has a label of the same name, its own value stays.
#[derive(Debug)]
pub struct LabelledSource<'a, S> {
    store: &'a S,
    node: Labels,
}

/// What is left to ask of the store once the node's labels are known.
enum Split {
    /// No series of this node can match.
    Nothing,
    Ask {
        matchers: Vec<Matcher>,
        /// Matchers on node labels that a series may override: checked on each series.
        recheck: Vec<Matcher>,
    },
}

impl<'a, S: SeriesSource> LabelledSource<'a, S> {
    pub fn new(store: &'a S, node: Labels) -> Self {
        Self { store, node }
    }

    fn split(&self, matchers: &[Matcher]) -> Split {
        let mut ask = Vec::with_capacity(matchers.len());
        let mut recheck = Vec::new();
        for matcher in matchers {
            let Some(value) = self.node.get(matcher.name()) else {
                ask.push(matcher.clone());
                continue;
            };
            if matcher.matches(value) {
                recheck.push(matcher.clone());
            } else if matcher.op() == MatchOp::Equal && matcher.value().is_empty() {
                // Every series has the label: its own or the node's.
                return Split::Nothing;
            } else {
                // Only series that carry the label themselves are left: those that others made bring their own `instance`. `!= ""` cannot fail to compile.
                ask.push(matcher.clone());
                ask.extend(Matcher::new(matcher.name(), MatchOp::NotEqual, ""));
            }
        }
        Split::Ask {
            matchers: ask,
            recheck,
        }
    }

    /// The series' labels as the asker sees them, or `None` when a matcher on a node label rejects them.
    fn dress(&self, labels: &Labels, recheck: &[Matcher]) -> Option<Labels> {
        let overridden =
            |matcher: &Matcher| labels.get(matcher.name()).is_none_or(|own| matcher.matches(own));
        recheck.iter().all(overridden).then(|| merge(labels, &self.node))
    }
}

/// `own` plus the labels of `node` it lacks: both are sorted, so one pass suffices.
fn merge(own: &Labels, node: &Labels) -> Labels {
    let mut merged: Vec<Label> = Vec::with_capacity(own.len() + node.len());
    let mut rest = node.iter().peekable();
    for label in own {
        while let Some(before) = rest.next_if(|next| next.name < label.name) {
            merged.push(before.clone());
        }
        rest.next_if(|next| next.name == label.name);
        merged.push(label.clone());
    }
    merged.extend(rest.cloned());
    merged.into_iter().collect()
}

impl<S: SeriesSource> SeriesSource for LabelledSource<'_, S> {
    fn select(
        &self,
        select: &Select<'_>,
        budget: &Budget,
        sink: &mut dyn FnMut(SeriesData) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let Split::Ask { matchers, recheck } = self.split(select.matchers) else {
            return Ok(());
        };
        let inner = Select {
            matchers: &matchers,
            ..select.clone()
        };
        self.store.select(
            &inner,
            budget,
            &mut |series| match self.dress(&series.labels, &recheck) {
                Some(labels) => sink(SeriesData { labels, ..series }),
                None => Ok(()),
            },
        )
    }

    fn resolution(&self, need: &Need<'_>) -> Result<Resolution, SourceError> {
        self.store.resolution(need)
    }

    fn select_cells(
        &self,
        select: &Select<'_>,
        cell_ms: i64,
        columns: CellColumns,
        budget: &Budget,
        sink: &mut dyn FnMut(CellSeries) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let Split::Ask { matchers, recheck } = self.split(select.matchers) else {
            return Ok(());
        };
        let inner = Select {
            matchers: &matchers,
            ..select.clone()
        };
        self.store
            .select_cells(&inner, cell_ms, columns, budget, &mut |series| match self
                .dress(&series.labels, &recheck)
            {
                Some(labels) => sink(CellSeries { labels, ..series }),
                None => Ok(()),
            })
    }

    fn series(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        budget: &Budget,
    ) -> Result<Vec<Labels>, SourceError> {
        let Split::Ask { matchers, recheck } = self.split(matchers) else {
            return Ok(Vec::new());
        };
        let stored = self.store.series(&matchers, start_ms, end_ms, budget)?;
        Ok(stored
            .iter()
            .filter_map(|labels| self.dress(labels, &recheck))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use podscope_model::labels::NAME;
    use podscope_model::matcher::all_match;

    use super::*;

    /// A few series, and the matchers it was asked with.
    #[derive(Debug, Default)]
    struct Store {
        series: Vec<Labels>,
        asked: Mutex<Vec<String>>,
    }

    impl SeriesSource for Store {
        fn select(
            &self,
            select: &Select<'_>,
            _: &Budget,
            sink: &mut dyn FnMut(SeriesData) -> Result<(), SourceError>,
        ) -> Result<(), SourceError> {
            for labels in self
                .series
                .iter()
                .filter(|labels| all_match(select.matchers, labels))
            {
                sink(SeriesData {
                    labels: labels.clone(),
                    timestamps: [1].into(),
                    values: [1.0].into(),
                })?;
            }
            Ok(())
        }

        fn series(
            &self,
            matchers: &[Matcher],
            _: i64,
            _: i64,
            _: &Budget,
        ) -> Result<Vec<Labels>, SourceError> {
            let asked = matchers
                .iter()
                .map(Matcher::to_string)
                .collect::<Vec<_>>()
                .join(",");
            self.asked.lock().expect("not poisoned").push(asked);
            Ok(self
                .series
                .iter()
                .filter(|labels| all_match(matchers, labels))
                .cloned()
                .collect())
        }
    }

    fn store() -> Store {
        let series = vec![
            Labels::from_pairs([(NAME, "m"), ("cpu", "0")]),
            Labels::from_pairs([(NAME, "m"), ("cpu", "1"), ("rack", "own")]),
        ];
        Store {
            series,
            asked: Mutex::default(),
        }
    }

    fn node() -> Labels {
        node_labels("n1", &BTreeMap::from([("rack".to_owned(), "r12".to_owned())]))
    }

    fn found(store: &Store, matchers: &[Matcher]) -> Vec<String> {
        let source = LabelledSource::new(store, node());
        let listed = source
            .series(matchers, 0, 10, &Budget::unlimited())
            .expect("no limit");
        let mut read = Vec::new();
        let select = Select {
            matchers,
            start_ms: 0,
            end_ms: 10,
            step_ms: 1,
            function: None,
        };
        source
            .select(&select, &Budget::unlimited(), &mut |series| {
                read.push(series.labels);
                Ok(())
            })
            .expect("no limit");
        assert_eq!(listed, read, "listing and reading agree");
        listed.iter().map(Labels::to_string).collect()
    }

    const PLAIN: &str = r#"m{cpu="0",instance="n1",rack="r12"}"#;
    const OWN: &str = r#"m{cpu="1",instance="n1",rack="own"}"#;

    #[test]
    fn every_series_carries_the_node_and_its_own_labels_win() {
        assert_eq!(found(&store(), &[]), [PLAIN, OWN]);
    }

    #[test]
    fn matchers_on_node_labels_select_as_if_the_labels_were_stored() {
        let new = |name: &str, op, value: &str| Matcher::new(name, op, value).expect("valid");
        for matcher in [
            Matcher::equal(INSTANCE, "n1"),
            new(INSTANCE, MatchOp::Regex, "n.*"),
            new(INSTANCE, MatchOp::NotEqual, ""),
        ] {
            assert_eq!(
                found(&store(), std::slice::from_ref(&matcher)),
                [PLAIN, OWN],
                "{matcher}"
            );
        }
        assert_eq!(found(&store(), &[Matcher::equal("rack", "r12")]), [PLAIN]);
        assert_eq!(found(&store(), &[Matcher::equal("rack", "own")]), [OWN]);
        assert_eq!(found(&store(), &[new("rack", MatchOp::NotEqual, "own")]), [PLAIN]);
        assert!(found(&store(), &[Matcher::equal("rack", "")]).is_empty());
    }

    #[test]
    fn another_instance_is_that_of_series_which_others_made() {
        let mut store = store();
        assert!(found(&store, &[Matcher::equal(INSTANCE, "n2")]).is_empty());
        store
            .series
            .push(Labels::from_pairs([(NAME, "m"), (INSTANCE, "n2")]));
        assert_eq!(
            found(&store, &[Matcher::equal(INSTANCE, "n2")]),
            [r#"m{instance="n2",rack="r12"}"#]
        );
        assert_eq!(found(&store, &[Matcher::equal(INSTANCE, "n1")]), [PLAIN, OWN]);
        assert!(found(&store, &[Matcher::equal(INSTANCE, "")]).is_empty());
    }

    #[test]
    fn a_matcher_the_node_satisfies_is_not_sent_to_the_store() {
        let store = store();
        found(
            &store,
            &[Matcher::equal(NAME, "m"), Matcher::equal(INSTANCE, "n1")],
        );
        assert_eq!(*store.asked.lock().expect("not poisoned"), [r#"__name__="m""#]);
    }
}
