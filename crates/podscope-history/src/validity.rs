//! In which rows of a chunk a column had a value: run lengths, valid and absent in turn, valid first.

/// Runs of one column. Rows after the last run are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Validity {
    runs: Vec<u32>,
    /// Sum of the runs; the last run is always a valid one.
    known: u32,
}

impl Validity {
    /// Marks `row` as valid; rows are marked in rising order.
    pub(crate) fn mark(&mut self, row: u32) {
        if row > self.known || self.runs.is_empty() {
            if row > self.known || row > 0 {
                if self.runs.is_empty() {
                    self.runs.push(0);
                }
                self.runs.push(row - self.known);
            }
            self.runs.push(0);
        }
        if let Some(last) = self.runs.last_mut() {
            *last += 1;
        }
        self.known = row + 1;
    }

    /// Whether all of the first `rows` rows are valid.
    pub(crate) fn is_full(&self, rows: u32) -> bool {
        self.runs.len() == 1 && self.known == rows
    }

    /// The runs, cut or filled up to `rows`.
    pub(crate) fn runs(&self, rows: u32) -> Vec<u32> {
        let mut out = self.runs.clone();
        if self.known < rows {
            if out.is_empty() {
                out.push(0);
            }
            out.push(rows - self.known);
        }
        out
    }

    pub(crate) fn bytes(&self) -> usize {
        self.runs.capacity() * 4
    }
}

/// Run lengths put together one after another.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunList(Vec<u32>);

impl RunList {
    /// Adds `count` rows that are valid or absent.
    pub(crate) fn push(&mut self, valid: bool, count: u32) {
        if count == 0 {
            return;
        }
        // Even places hold valid runs.
        let fits = !self.0.is_empty() && (self.0.len() % 2 == 1) == valid;
        if !fits {
            if self.0.is_empty() && !valid {
                self.0.push(0);
            }
            self.0.push(0);
        }
        if let Some(last) = self.0.last_mut() {
            *last += count;
        }
    }

    /// The runs, or `None` where every row is valid.
    pub(crate) fn gaps(self) -> Option<Vec<u32>> {
        (self.0.len() > 1).then_some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_lists_join_what_is_alike() {
        let put = |runs: &[(bool, u32)]| {
            let mut list = RunList::default();
            runs.iter().for_each(|(valid, count)| list.push(*valid, *count));
            list.gaps()
        };
        assert_eq!(put(&[(true, 2), (true, 3)]), None);
        assert_eq!(put(&[(false, 2), (true, 3)]), Some(vec![0, 2, 3]));
        assert_eq!(
            put(&[(true, 1), (false, 2), (false, 1), (true, 0), (true, 4)]),
            Some(vec![1, 3, 4])
        );
    }

    #[test]
    fn runs_tell_the_marked_rows() {
        let mut validity = Validity::default();
        for row in [2, 3, 6] {
            validity.mark(row);
        }
        assert_eq!(validity.runs(8), [0, 2, 2, 2, 1, 1]);
        let mut full = Validity::default();
        for row in 0..3 {
            full.mark(row);
        }
        assert!(full.is_full(3) && !full.is_full(4));
        assert_eq!(full.runs(3), [3]);
        assert_eq!(Validity::default().runs(2), [0, 2]);
    }
}
