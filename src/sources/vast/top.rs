//! Who is busiest, as series. A snapshot of VMS is a minute old at most; the past is asked for at a few instants, each of
//! which stands until the next.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use podscope_model::labels::{Labels, NAME};
use podscope_vms::table::TopColumn;
use podscope_vms::top::{Top, Who};
use podscope_vms::{VmsClient, VmsError};

use super::kept::{Kept, locked};

const OFTEN: Duration = Duration::from_secs(60);
/// Instants of the past that one question may ask for.
const INSTANTS: i64 = 12;
/// Snapshots kept of each list.
const MAX_SNAPSHOTS: usize = 400;
/// Closer than the lookback, so that a snapshot stands until the next.
const HOLD_MS: i64 = 240_000;

/// One list: of users, clients, addresses, views.
#[derive(Debug)]
struct Key {
    newest: Arc<Kept<Top>>,
    past: Mutex<BTreeMap<i64, Option<Arc<Top>>>>,
    gate: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
pub(super) struct Tops {
    keys: BTreeMap<&'static str, Arc<Key>>,
}

impl Tops {
    pub(super) fn new() -> Self {
        let keys = ["user", "client", "vip", "vippool", "view"].map(|key| {
            let made = Key {
                newest: Kept::new(OFTEN),
                past: Mutex::default(),
                gate: tokio::sync::Mutex::new(()),
            };
            (key, Arc::new(made))
        });
        Self {
            keys: BTreeMap::from(keys),
        }
    }

    /// Reads one list for a time.
    pub(super) async fn read(
        &self,
        client: &Arc<VmsClient>,
        key: &'static str,
        (from_ms, to_ms): (i64, i64),
        patience: Duration,
    ) -> Option<VmsError> {
        let entry = Arc::clone(self.keys.get(key)?);
        let began = Instant::now();
        let asking = Arc::clone(client);
        let had = entry
            .newest
            .get(patience, move || async move { asking.top(key, None).await })
            .await;
        let now_ms = client.now_ms();
        if let Some(top) = &had.value {
            let at = top.time_ms.unwrap_or(now_ms);
            locked(&entry.past)
                .entry(at)
                .or_insert_with(|| Some(Arc::clone(top)));
        }
        let wanted = instants(from_ms, to_ms.min(now_ms - 60_000));
        let missing = |entry: &Key| -> Vec<i64> {
            let past = locked(&entry.past);
            wanted
                .iter()
                .copied()
                .filter(|at| !past.contains_key(at))
                .collect()
        };
        if had.error.is_some() || missing(&entry).is_empty() {
            return had.error;
        }
        let (asking, reading) = (Arc::clone(client), Arc::clone(&entry));
        let list = wanted.clone();
        let work = tokio::spawn(async move {
            let _one = reading.gate.lock().await;
            for at in list {
                if locked(&reading.past).contains_key(&at) {
                    continue;
                }
                match asking.top(key, Some(at)).await {
                    Ok(top) => {
                        let mut past = locked(&reading.past);
                        past.insert(at, Some(Arc::new(top)));
                        while past.len() > MAX_SNAPSHOTS {
                            past.pop_first();
                        }
                    }
                    // A server that keeps no past of it is not asked for this instant again.
                    Err(error) if !error.passes() => {
                        locked(&reading.past).insert(at, None);
                    }
                    Err(error) => return Some(error),
                }
            }
            None
        });
        let left = patience.saturating_sub(began.elapsed());
        match tokio::time::timeout(left, work).await {
            Ok(done) => done.ok().flatten(),
            Err(_) => None,
        }
    }

    /// The series of one column within a time.
    pub(super) fn series(
        &self,
        metric: &str,
        column: TopColumn,
        cluster: &str,
        (from_ms, to_ms): (i64, i64),
    ) -> Vec<(Labels, Vec<(i64, f64)>)> {
        let Some(entry) = self.keys.get(column.key) else {
            return Vec::new();
        };
        let step = step_ms(from_ms, to_ms).max(60_000);
        let past = locked(&entry.past);
        let within: Vec<(i64, &Arc<Top>)> = past
            .range(from_ms.saturating_sub(step)..)
            .filter_map(|(at, top)| Some((*at, top.as_ref()?)))
            .collect();
        let mut series: BTreeMap<Who, Vec<(i64, f64)>> = BTreeMap::new();
        for (number, (at, top)) in within.iter().enumerate() {
            let until = within
                .get(number + 1)
                .map_or(at + 1, |(next, _)| (*next).min(at + 2 * step));
            let scale = if column.kind == "bw" { 1e6 } else { 1.0 };
            for row in top.rows.iter().filter(|row| row.kind == column.kind) {
                let Some(value) = (if column.read { row.read } else { row.write }) else {
                    continue;
                };
                let samples = series.entry(row.who.clone()).or_default();
                let mut t_ms = *at;
                while t_ms < until {
                    samples.push((t_ms, value * scale));
                    t_ms += HOLD_MS;
                }
            }
        }
        series
            .into_iter()
            .map(|(who, samples)| {
                let name_label = match column.key {
                    "client" | "vip" => "ip",
                    "view" => "path",
                    _ => "name",
                };
                let pairs = [
                    (NAME, metric),
                    ("cluster", cluster),
                    (name_label, &who.name),
                    ("uid", &who.uid),
                    ("tenant", &who.tenant),
                ];
                let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
                (Labels::from_pairs(pairs), samples)
            })
            .collect()
    }
}

/// Distance of the instants that are asked for: a whole number of minutes.
fn step_ms(from_ms: i64, to_ms: i64) -> i64 {
    let span = (to_ms - from_ms).max(0);
    // A window of the lookback alone is an instant.
    if span <= 600_000 {
        return 0;
    }
    ((span / INSTANTS) / 300_000 + 1) * 300_000
}

/// On a grid that stays the same while the window moves.
fn instants(from_ms: i64, to_ms: i64) -> Vec<i64> {
    let step = step_ms(from_ms, to_ms);
    if step == 0 {
        return Vec::new();
    }
    let first = from_ms - from_ms.rem_euclid(step) + step;
    (0..INSTANTS + 1)
        .map(|at| first + at * step)
        .take_while(|at| *at <= to_ms)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_asked_for_at_a_few_instants_that_stay_while_it_moves() {
        let hour = 3_600_000;
        let one = instants(100 * hour, 106 * hour);
        let two = instants(100 * hour + 60_000, 106 * hour + 60_000);
        assert!(!one.is_empty() && one.len() <= 13, "{one:?}");
        let shared = one.iter().filter(|at| two.contains(at)).count();
        assert!(shared >= one.len() - 1, "{one:?} {two:?}");
        assert!(
            instants(0, 300_000).is_empty(),
            "an instant query asks for the newest only"
        );
    }
}
