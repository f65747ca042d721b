//! Time series of one family of properties: what was read is kept, only what is new is asked for, once per cadence for
//! everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use podscope_vms::monitor::{Column, Granularity, Grouping, Question};
use podscope_vms::table::cadence_ms;
use podscope_vms::{VmsClient, VmsError};

use super::kept::locked;

/// After a failure nothing is asked for so long.
const PAUSE: Duration = Duration::from_secs(10);
/// Properties nobody wanted for so long are not kept up to date any more, and then forgotten.
const UNUSED: Duration = Duration::from_secs(900);
/// Samples one family may keep; of more the oldest go.
const MAX_SAMPLES: usize = 4_000_000;

/// What is asked for together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FamilyKey {
    pub(super) object_type: String,
    /// `ProtoMetrics`, `Hardware`, ...
    pub(super) class: String,
    pub(super) accumulates: bool,
    pub(super) granularity: Granularity,
}

impl FamilyKey {
    /// How often there is something new.
    pub(super) fn cadence_ms(&self) -> i64 {
        cadence_ms(&self.class).max(self.granularity.bucket_ms().unwrap_or(0).min(300_000))
    }

    fn step_ms(&self) -> i64 {
        let cadence = cadence_ms(&self.class);
        self.granularity
            .bucket_ms()
            .map_or(cadence, |bucket| bucket.max(cadence))
    }
}

/// Samples of one property of one object, by time.
type Samples = BTreeMap<i64, f64>;

#[derive(Debug, Default)]
struct State {
    /// From when on each property was read, and when it was last wanted.
    known: BTreeMap<String, Known>,
    samples: BTreeMap<(String, i64), Samples>,
    /// When the newest were read, and up to which time.
    read: Option<(Instant, i64)>,
    failed: Option<(Instant, VmsError)>,
    grouping: Grouping,
}

#[derive(Debug)]
struct Known {
    from_ms: i64,
    to_ms: i64,
    wanted: Instant,
}

/// A family with its samples.
#[derive(Debug)]
pub(super) struct Family {
    key: FamilyKey,
    gate: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

/// What one question wants of a family.
#[derive(Clone, Debug)]
pub(super) struct Want {
    pub(super) properties: BTreeSet<String>,
    pub(super) ids: Vec<i64>,
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
}

/// How it went.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) error: Option<VmsError>,
    /// Properties the server does not serve, with its words.
    pub(super) refused: Vec<(String, String)>,
}

impl Family {
    pub(super) fn new(key: FamilyKey) -> Arc<Self> {
        Arc::new(Self {
            key,
            gate: tokio::sync::Mutex::new(()),
            state: Mutex::default(),
        })
    }

    /// What must be read for a question: properties with the time from which on; empty: all is there.
    fn missing(&self, want: &Want, now_ms: i64) -> BTreeMap<i64, BTreeSet<String>> {
        let mut state = locked(&self.state);
        let cadence = self.key.cadence_ms();
        let due = state
            .read
            .is_none_or(|(at, _)| at.elapsed().as_millis() as i64 >= cadence);
        if state.failed.as_ref().is_some_and(|(at, _)| at.elapsed() < PAUSE) {
            return BTreeMap::new();
        }
        let mut missing: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
        let now = Instant::now();
        for fqn in &want.properties {
            if state.grouping.refused.contains_key(fqn) {
                continue;
            }
            match state.known.get_mut(fqn) {
                Some(known) => {
                    known.wanted = now;
                    if known.from_ms > want.from_ms + self.key.step_ms() {
                        missing.entry(want.from_ms).or_default().insert(fqn.clone());
                    }
                }
                None => {
                    missing.entry(want.from_ms).or_default().insert(fqn.clone());
                }
            }
        }
        if due {
            // What anybody wanted of late is kept up to date together: one question serves all.
            let tail = state
                .read
                .is_none_or(|(_, to)| want.to_ms > to - 2 * self.key.step_ms());
            for (fqn, known) in &state.known {
                let first = missing.values().any(|list| list.contains(fqn));
                if tail && !first && known.wanted.elapsed() < UNUSED && known.to_ms < now_ms {
                    // The last ones again: they may not have been whole.
                    let from = known.to_ms - 2 * self.key.step_ms();
                    missing.entry(from).or_default().insert(fqn.clone());
                }
            }
        }
        missing
    }

    /// Whether all that is wanted was read before, if perhaps a while ago.
    pub(super) fn knows(&self, want: &Want) -> bool {
        let state = locked(&self.state);
        want.properties.iter().all(|fqn| {
            let known = state.known.get(fqn);
            known.is_some_and(|known| known.from_ms <= want.from_ms + self.key.step_ms())
                || state.grouping.refused.contains_key(fqn)
        })
    }

    /// Brings the family up to date for a question. Waits at most `patience`; the reading goes on without the asker.
    pub(super) async fn read(
        self: &Arc<Self>,
        client: &Arc<VmsClient>,
        want: Want,
        patience: Duration,
    ) -> Outcome {
        if !self.missing(&want, client.now_ms()).is_empty() {
            let (family, client, wanted) = (Arc::clone(self), Arc::clone(client), want.clone());
            let reading = tokio::spawn(async move {
                let _one = family.gate.lock().await;
                let now_ms = client.now_ms();
                // Somebody else may have read it meanwhile.
                let missing = family.missing(&wanted, now_ms);
                if !missing.is_empty() {
                    family.fill(&client, &wanted, missing, now_ms).await;
                }
            });
            if tokio::time::timeout(patience, reading).await.is_err() {
                let error = VmsError::Timeout {
                    resource: format!("{} of each {}", self.key.class, self.key.object_type),
                    timeout: patience,
                };
                return self.outcome(&want, Some(error));
            }
        }
        self.outcome(&want, None)
    }

    fn outcome(&self, want: &Want, late: Option<VmsError>) -> Outcome {
        let state = locked(&self.state);
        let refused = want
            .properties
            .iter()
            .filter_map(|fqn| Some((fqn.clone(), state.grouping.refused.get(fqn)?.clone())));
        Outcome {
            refused: refused.collect(),
            error: state.failed.as_ref().map(|(_, error)| error.clone()).or(late),
        }
    }

    async fn fill(
        &self,
        client: &VmsClient,
        want: &Want,
        missing: BTreeMap<i64, BTreeSet<String>>,
        now_ms: i64,
    ) {
        for (from_ms, properties) in missing {
            let mut grouping = {
                let state = locked(&self.state);
                // Only what is wanted now, in the groups that are known to go together.
                let mut groups: Vec<Vec<String>> = Vec::new();
                for group in &state.grouping.groups {
                    let part: Vec<String> = group
                        .iter()
                        .filter(|fqn| properties.contains(*fqn))
                        .cloned()
                        .collect();
                    if !part.is_empty() {
                        groups.push(part);
                    }
                }
                Grouping {
                    groups,
                    refused: state.grouping.refused.clone(),
                }
            };
            grouping.learn(properties.iter().map(String::as_str));
            let question = Question {
                object_type: &self.key.object_type,
                ids: &want.ids,
                from_ms,
                to_ms: now_ms,
                granularity: self.key.granularity,
                aggregation: if self.key.accumulates { "max" } else { "avg" },
            };
            let answer = client.ad_hoc(&mut grouping, question).await;
            let mut state = locked(&self.state);
            merge_grouping(&mut state.grouping, grouping);
            match answer {
                Ok(columns) => self.take(&mut state, columns, &properties, from_ms, now_ms),
                Err(error) => {
                    state.failed = Some((Instant::now(), error));
                    return;
                }
            }
        }
    }

    fn take(
        &self,
        state: &mut State,
        columns: Vec<Column>,
        properties: &BTreeSet<String>,
        from_ms: i64,
        now_ms: i64,
    ) {
        let step = self.key.step_ms();
        let is_raw = self
            .key
            .granularity
            .bucket_ms()
            .is_none_or(|bucket| bucket < step);
        for column in columns {
            let samples = state
                .samples
                .entry((column.fqn.clone(), column.object_id))
                .or_default();
            for (at, value) in column.samples {
                // The newest one has not seen all of its time yet.
                if at + step > now_ms {
                    continue;
                }
                // A bucket is told by its beginning; what it amounts to is known at its end.
                samples.insert(if is_raw { at } else { at + step }, value);
            }
        }
        for fqn in properties {
            let known = state.known.entry(fqn.clone()).or_insert(Known {
                from_ms,
                to_ms: now_ms,
                wanted: Instant::now(),
            });
            known.from_ms = known.from_ms.min(from_ms);
            known.to_ms = now_ms;
        }
        state.read = Some((Instant::now(), now_ms));
        state.failed = None;
        forget(state);
    }

    /// The samples of a property with `from_ms < t <= to_ms`, by object, and the time of its newest one.
    pub(super) fn samples(&self, fqn: &str, from_ms: i64, to_ms: i64) -> Vec<(i64, Vec<(i64, f64)>)> {
        if to_ms <= from_ms {
            return Vec::new();
        }
        let state = locked(&self.state);
        let of_property = state
            .samples
            .range((fqn.to_owned(), i64::MIN)..=(fqn.to_owned(), i64::MAX));
        of_property
            .map(|((_, object), samples)| {
                let kept = samples.range(from_ms.saturating_add(1)..=to_ms);
                (*object, kept.map(|(at, value)| (*at, *value)).collect())
            })
            .collect()
    }

    /// The newest sample of anything in it.
    pub(super) fn newest_ms(&self) -> Option<i64> {
        let state = locked(&self.state);
        state
            .samples
            .values()
            .filter_map(|samples| samples.last_key_value().map(|(at, _)| *at))
            .max()
    }

    pub(super) fn key(&self) -> &FamilyKey {
        &self.key
    }
}

fn merge_grouping(kept: &mut Grouping, learned: Grouping) {
    let names: BTreeSet<&String> = learned
        .groups
        .iter()
        .flatten()
        .chain(learned.refused.keys())
        .collect();
    for group in &mut kept.groups {
        group.retain(|fqn| !names.contains(fqn));
    }
    kept.groups.retain(|group| !group.is_empty());
    kept.groups.extend(learned.groups);
    kept.refused = learned.refused;
}

/// Drops what nobody wanted for long, and the oldest of what is too much.
fn forget(state: &mut State) {
    let unused: Vec<String> = state
        .known
        .iter()
        .filter(|(_, known)| known.wanted.elapsed() > UNUSED)
        .map(|(fqn, _)| fqn.clone())
        .collect();
    for fqn in unused {
        state.known.remove(&fqn);
        state.samples.retain(|(name, _), _| *name != fqn);
    }
    let all: usize = state.samples.values().map(BTreeMap::len).sum();
    if all <= MAX_SAMPLES || state.samples.is_empty() {
        return;
    }
    let keep = MAX_SAMPLES / state.samples.len();
    let mut oldest = i64::MIN;
    for samples in state.samples.values_mut() {
        while samples.len() > keep {
            samples.pop_first();
        }
        if let Some((at, _)) = samples.first_key_value() {
            oldest = oldest.max(*at);
        }
    }
    for known in state.known.values_mut() {
        known.from_ms = known.from_ms.max(oldest);
    }
}
