//! Whose processes go when those that wait hold too much memory: pure, tested by table.

use tokio::time::Instant;

/// What one function holds ahead of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holding {
    /// The memory of its template and of its waiting processes, in bytes.
    pub(super) memory: u64,
    /// When its last event came.
    pub(super) used: Instant,
}

/// How many of `holdings`, least recently used first, have to go so that the rest fits into `budget`; their indices. The
/// one that was used last stays: what it holds is bounded by [`room`].
pub(super) fn excess(holdings: &[Holding], budget: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..holdings.len()).collect();
    order.sort_by_key(|index| holdings[*index].used);
    order.pop();
    let mut total: u64 = holdings.iter().map(|holding| holding.memory).sum();
    let mut gone = Vec::new();
    for index in order {
        if total <= budget {
            break;
        }
        if holdings[index].memory > 0 {
            total -= holdings[index].memory;
            gone.push(index);
        }
    }
    gone
}

/// How many processes of `each` bytes a function may hold beside its template, when that and all that others hold of the
/// `budget`, except what was not used since `idle`, take `taken` bytes.
pub(super) fn room(budget: u64, taken: u64, each: u64) -> usize {
    usize::try_from(budget.saturating_sub(taken) / each.max(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_least_recently_used_go_first() {
        let start = Instant::now();
        let at = |memory, seconds| Holding { memory, used: start + Duration::from_secs(seconds) };
        let holdings = [at(40, 3), at(30, 1), at(0, 0), at(20, 2), at(50, 4)];
        for (budget, gone) in [
            (140, vec![]),
            (139, vec![1]),
            (110, vec![1]),
            (100, vec![1, 3]),
            (60, vec![1, 3, 0]),
            (10, vec![1, 3, 0]),
        ] {
            assert_eq!(excess(&holdings, budget), gone, "{budget}");
        }
        assert!(excess(&[], 0).is_empty());
    }

    #[test]
    fn room_is_what_others_leave() {
        assert_eq!(room(100, 20, 8), 10);
        assert_eq!(room(100, 120, 8), 0);
        assert_eq!(room(100, 0, 0), 100);
    }
}
