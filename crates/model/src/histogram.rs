//! How often which value occurred, in buckets whose width grows with the value: memory is bounded, the relative error too.

/// Counts of values. With `bits` of precision a value is known to one part in `2^bits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    bits: u32,
    counts: Vec<u32>,
    count: u64,
    sum: u64,
    most: u64,
}

impl Histogram {
    /// Nothing has occurred; `bits` is from 1 to 12.
    pub fn new(bits: u32) -> Self {
        Histogram { bits: bits.clamp(1, 12), counts: Vec::new(), count: 0, sum: 0, most: 0 }
    }

    /// `value` has occurred.
    pub fn note(&mut self, value: u64) {
        let at = self.place(value);
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] = self.counts[at].saturating_add(1);
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.most = self.most.max(value);
    }

    /// Adds what has occurred elsewhere, with the same precision.
    pub fn add(&mut self, other: &Histogram) {
        debug_assert_eq!(self.bits, other.bits);
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine = mine.saturating_add(*theirs);
        }
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.most = self.most.max(other.most);
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest one.
    pub fn most(&self) -> u64 {
        self.most
    }

    /// Their mean.
    pub fn mean(&self) -> f64 {
        self.sum as f64 / self.count.max(1) as f64
    }

    /// The value that `part` of all are not above, `part` being from 0 to 1; 0 if there is none.
    pub fn quantile(&self, part: f64) -> u64 {
        let rank = ((self.count as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank {
                return self.value(at).min(self.most);
            }
        }
        self.most
    }

    /// Those buckets that are not empty: the largest value of each, and how many values it has.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        self.counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(at, count)| (self.value(at), u64::from(*count)))
    }

    fn place(&self, value: u64) -> usize {
        let length = u64::BITS - value.leading_zeros();
        let shift = length.saturating_sub(self.bits + 1);
        ((shift as usize) << self.bits) + usize::try_from(value >> shift).unwrap_or(0)
    }

    /// The largest value of a bucket.
    fn value(&self, at: usize) -> u64 {
        let shift = (at >> self.bits).saturating_sub(1);
        let within = (at - (shift << self.bits)) as u64;
        (((u128::from(within) + 1) << shift) - 1).min(u128::from(u64::MAX)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_the_precision() {
        let mut histogram = Histogram::new(7);
        assert_eq!(histogram.quantile(0.5), 0);
        for value in 1..=100_000 {
            histogram.note(value);
        }
        for (part, exact) in [(0.5, 50_000.0), (0.9, 90_000.0), (0.999, 99_900.0), (1.0, 100_000.0)] {
            let found = histogram.quantile(part) as f64;
            assert!((found - exact).abs() / exact < 1.0 / 128.0, "{part}: {found}");
        }
        assert_eq!((histogram.count(), histogram.most()), (100_000, 100_000));
        assert!((histogram.mean() - 50_000.5).abs() < 1e-6);
    }

    #[test]
    fn every_value_has_a_bucket_and_buckets_add_up() {
        let mut one = Histogram::new(4);
        let mut other = Histogram::new(4);
        for value in [0, 1, 31, 32, 33, 1 << 40, u64::MAX] {
            assert!(one.value(one.place(value)) >= value);
            one.note(value);
            other.note(value);
        }
        one.add(&other);
        assert_eq!((one.count(), one.buckets().map(|(_, count)| count).sum()), (14, 14));
        assert_eq!(one.quantile(1.0), u64::MAX);
        assert!(one.counts.len() <= 1_024);
    }
}
