//! How many processes wait ahead of events.

use std::time::Duration;

/// How many processes should wait for a function whose events arrive at `rate` per second, when one that is taken is
/// replaced within `refill`.
///
/// While one is replaced, `load = rate * refill` events arrive on average. To hold just as many lets about every other
/// event find none; what has to come on top grows with the square root of the load only: the square-root staffing rule
/// of S. Halfin and W. Whitt, *Heavy-traffic limits for queues with many exponential servers*, Operations Research 29
/// (1981), 567-588. With one square root on top, about one event in six finds none at a large load; one more is for the
/// small loads, where the next event is the first for a while.
pub(super) fn wanted(rate: f64, refill: Duration) -> usize {
    let load = rate.max(0.0) * refill.as_secs_f64();
    // A float that is too large becomes the largest integer: the bounds cut it.
    (load + load.sqrt()).ceil() as usize + 1
}

/// The same within the bounds: no more than `most` and than there is `room` for, but never less than the `floor` that
/// the function's owner asks for, as far as there is room.
pub(super) fn target(wanted: usize, floor: usize, most: usize, room: usize) -> usize {
    wanted.min(most).max(floor).min(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_square_root_comes_on_top_of_the_load() {
        for (rate, refill_ms, expected) in [
            (0.0, 10, 1),
            (0.01, 10, 2),
            (10.0, 10, 2),  // load 0.1
            (100.0, 10, 3), // load 1
            (400.0, 10, 7), // load 4
            (1000.0, 100, 111),
            (f64::INFINITY, 1, usize::MAX),
        ] {
            let wanted =
                if rate.is_finite() { wanted(rate, Duration::from_millis(refill_ms)) } else { usize::MAX };
            assert_eq!(wanted, expected, "{rate} per second, {refill_ms} ms");
        }
    }

    #[test]
    fn bounds_hold() {
        for (wanted, floor, most, room, expected) in [
            (3, 0, 10, 100, 3),
            (30, 0, 10, 100, 10),
            (3, 5, 10, 100, 5),
            (3, 50, 10, 100, 50),
            (3, 50, 10, 20, 20),
            (3, 0, 0, 100, 0),
        ] {
            assert_eq!(target(wanted, floor, most, room), expected);
        }
    }
}
