//! How many GPUs there should be: what the operator said, else the most that ever answered.

/// Counts GPUs.
#[derive(Debug)]
pub(super) struct Expected {
    configured: Option<u32>,
    most: u32,
}

impl Expected {
    pub(super) fn new(configured: Option<u32>) -> Self {
        Self { configured, most: 0 }
    }

    /// Takes in how many answer now, and says how many there should be.
    pub(super) fn see(&mut self, answering: u32) -> u32 {
        self.most = self.most.max(answering);
        self.configured.unwrap_or(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_ever_seen_is_expected_unless_the_operator_knows_better() {
        let mut seen = Expected::new(None);
        assert_eq!([7, 8, 6].map(|count| seen.see(count)), [7, 8, 8]);
        let mut told = Expected::new(Some(8));
        assert_eq!([7, 8, 6].map(|count| told.see(count)), [8, 8, 8]);
    }
}
