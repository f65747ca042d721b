//! Spells of waiting for capacity, kept as long as a window sees them.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use super::wait::{Fate, Observed};

/// Spells kept; beyond that the oldest go first.
const MOST_SPELLS: usize = 200_000;
/// Seconds a spell is kept after its end: the longest window, and some more for polls that come late.
const KEPT_S: i64 = 3600 + 600;

/// How a spell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Started(i64),
    /// Cancelled, or held back by something else from then on.
    Left(i64),
}

/// From a job's becoming eligible to its start. A requeue begins a new one.
#[derive(Clone, Debug, PartialEq)]
pub struct Spell {
    pub job: u64,
    /// Seconds since 1970.
    pub eligible_s: i64,
    pub submit_s: i64,
    pub partition: Arc<str>,
    pub account: Arc<str>,
    pub qos: Arc<str>,
    /// GPUs of each task.
    pub gpus: f64,
    pub tasks: u32,
}

/// From when a wait counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    Eligible,
    Submit,
}

/// What a job weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    Jobs,
    Gpus,
}

impl Spell {
    /// As the window `[now - window, now]` sees it; absent when it does not.
    pub fn observed(
        &self,
        ended: Option<Ended>,
        since: Since,
        weight: Weight,
        now_s: i64,
        window_s: i64,
    ) -> Option<Observed> {
        let from = match since {
            Since::Eligible => self.eligible_s,
            Since::Submit => self.submit_s.min(self.eligible_s),
        };
        let opened = now_s - window_s;
        let (until, fate) = match ended {
            Some(Ended::Started(at)) if at <= now_s => (at, Fate::Started),
            Some(Ended::Left(at)) if at <= now_s => (at, Fate::Left),
            _ => (now_s, Fate::Waiting),
        };
        if from > now_s || until < opened {
            return None;
        }
        let jobs = f64::from(self.tasks);
        Some(Observed {
            entry: (opened - from).max(0) as f64,
            exit: (until - from).max(0) as f64,
            fate,
            weight: match weight {
                Weight::Jobs => jobs,
                Weight::Gpus => jobs * self.gpus,
            },
        })
    }
}

/// Partition, account and QOS; empty: all.
pub type Group = [Arc<str>; 3];

/// The spells of the last hour.
#[derive(Debug, Default)]
pub struct Spells {
    ended: VecDeque<(Spell, Ended)>,
    known: HashSet<(u64, i64)>,
    /// By job.
    live: BTreeMap<u64, Spell>,
}

impl Spells {
    /// Somebody waits.
    pub(crate) fn begin(&mut self, spell: Spell) {
        self.live.insert(spell.job, spell);
    }

    pub(crate) fn waits_mut(&mut self, job: u64) -> Option<&mut Spell> {
        self.live.get_mut(&job)
    }

    /// A waiting job's spell is over.
    pub(crate) fn end(&mut self, job: u64, ended: Ended) -> Option<Spell> {
        let spell = self.live.remove(&job)?;
        self.add(spell.clone(), ended);
        Some(spell)
    }

    /// A spell that nobody saw before its end. Answers whether it was new.
    pub(crate) fn add(&mut self, spell: Spell, ended: Ended) -> bool {
        if !self.known.insert((spell.job, spell.eligible_s)) {
            return false;
        }
        self.ended.push_back((spell, ended));
        if self.ended.len() > MOST_SPELLS
            && let Some((old, _)) = self.ended.pop_front()
        {
            self.known.remove(&(old.job, old.eligible_s));
        }
        true
    }

    /// Forgets what no window sees any more.
    pub(crate) fn forget(&mut self, now_s: i64) {
        let known = &mut self.known;
        self.ended.retain(|(spell, ended)| {
            let (Ended::Started(at) | Ended::Left(at)) = *ended;
            let kept = at >= now_s - KEPT_S;
            if !kept {
                known.remove(&(spell.job, spell.eligible_s));
            }
            kept
        });
    }

    /// Every spell, with its end if it has one.
    pub fn all(&self) -> impl Iterator<Item = (&Spell, Option<Ended>)> {
        let ended = self.ended.iter().map(|(spell, ended)| (spell, Some(*ended)));
        ended.chain(self.live.values().map(|spell| (spell, None)))
    }

    /// What a window sees, group by group: all, each partition, account and QOS, and with `pairs` each account of each
    /// partition. The biggest groups first, and of them at most `most`; then how many were left out.
    pub fn groups(
        &self,
        (since, weight): (Since, Weight),
        now_s: i64,
        window_s: i64,
        pairs: bool,
        most: usize,
    ) -> (Vec<(Group, Vec<Observed>)>, usize) {
        let none: Arc<str> = Arc::from("");
        let mut groups: BTreeMap<Group, Vec<Observed>> = BTreeMap::new();
        for (spell, ended) in self.all() {
            let Some(observed) = spell.observed(ended, since, weight, now_s, window_s) else {
                continue;
            };
            let none = || Arc::clone(&none);
            let (partition, account, qos) = (
                || Arc::clone(&spell.partition),
                || Arc::clone(&spell.account),
                || Arc::clone(&spell.qos),
            );
            let mut add = |group: Group| groups.entry(group).or_default().push(observed);
            add([none(), none(), none()]);
            if !spell.partition.is_empty() {
                add([partition(), none(), none()]);
            }
            if !spell.account.is_empty() {
                add([none(), account(), none()]);
            }
            if !spell.qos.is_empty() {
                add([none(), none(), qos()]);
            }
            if pairs && !spell.partition.is_empty() && !spell.account.is_empty() {
                add([partition(), account(), none()]);
            }
        }
        let mut groups: Vec<(Group, Vec<Observed>)> = groups.into_iter().collect();
        let left_out = groups.len().saturating_sub(most);
        if left_out > 0 {
            groups.sort_by_key(|(_, observed)| std::cmp::Reverse(observed.len()));
            groups.truncate(most);
        }
        (groups, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spell(job: u64, eligible_s: i64) -> Spell {
        Spell {
            job,
            eligible_s,
            submit_s: eligible_s - 100,
            partition: "gpu".into(),
            account: format!("a{}", job % 3).into(),
            qos: "".into(),
            gpus: 8.0,
            tasks: 2,
        }
    }

    #[test]
    fn a_window_sees_the_part_of_a_spell_that_lies_in_it() {
        let seen = |ended| spell(1, 1000).observed(ended, Since::Eligible, Weight::Jobs, 5000, 3600);
        let found = seen(Some(Ended::Started(2000))).expect("overlaps");
        assert_eq!(
            (found.entry, found.exit, found.fate),
            (400.0, 1000.0, Fate::Started)
        );
        assert_eq!(seen(Some(Ended::Started(1399))), None, "before the window");
        let found = seen(None).expect("still waits");
        assert_eq!(
            (found.entry, found.exit, found.fate),
            (400.0, 4000.0, Fate::Waiting)
        );
        let found = seen(Some(Ended::Started(6000))).expect("starts later");
        assert_eq!(found.fate, Fate::Waiting, "nobody knows that yet");
        let weighed = spell(1, 4000)
            .observed(None, Since::Submit, Weight::Gpus, 5000, 3600)
            .expect("overlaps");
        assert_eq!((weighed.exit, weighed.weight), (1100.0, 16.0));
        assert_eq!(
            spell(1, 6000).observed(None, Since::Eligible, Weight::Jobs, 5000, 3600),
            None
        );
    }

    #[test]
    fn groups_are_all_and_each_and_the_biggest_where_there_are_too_many() {
        let mut spells = Spells::default();
        for job in 0..9 {
            spells.begin(spell(job, 1000));
        }
        spells.end(3, Ended::Started(1100));
        let by = (Since::Eligible, Weight::Jobs);
        let (groups, left_out) = spells.groups(by, 1200, 3600, true, 100);
        let sizes: Vec<(String, usize)> = groups
            .iter()
            .map(|(group, observed)| (group.join("/"), observed.len()))
            .collect();
        let expected = [("//", 9), ("/a0/", 3), ("/a1/", 3), ("/a2/", 3), ("gpu//", 9)];
        for (name, size) in expected {
            assert!(sizes.contains(&(name.to_owned(), size)), "{name}: {sizes:?}");
        }
        assert_eq!((groups.len(), left_out), (8, 0));
        let (groups, left_out) = spells.groups(by, 1200, 3600, true, 2);
        assert_eq!((groups.len(), left_out), (2, 6));
        assert!(groups.iter().all(|(_, observed)| observed.len() == 9));
    }

    #[test]
    fn a_spell_is_kept_once_and_forgotten_when_no_window_sees_it() {
        let mut spells = Spells::default();
        assert!(spells.add(spell(1, 1000), Ended::Started(1100)));
        assert!(!spells.add(spell(1, 1000), Ended::Started(1100)));
        assert!(spells.add(spell(1, 2000), Ended::Left(2100)), "requeued");
        spells.forget(1100 + KEPT_S);
        assert_eq!(spells.all().count(), 2);
        spells.forget(1101 + KEPT_S);
        assert_eq!(spells.all().count(), 1);
        assert!(spells.add(spell(1, 1000), Ended::Started(1100)), "forgotten");
    }
}
