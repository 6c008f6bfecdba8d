//! The scheduler's decisions under a seeded simulation: a fake clock, thousands of functions, crashes between any two
//! steps, wake-ups that come late and twice, clocks that jump. What decides is the code that the server runs: whose turn it
//! is (`scheduler::turns`) and what follows from a run (`scheduler::settle`); the store is a model that is compared with
//! the real one.
//!
//! A seed that fails prints itself. `MAYFLY_SEED=n cargo test --release -p scheduler --test simulation` replays it, and
//! `MAYFLY_SEEDS=n` tries so many.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod random;
mod shelf;
mod world;

use random::Random;
use std::panic::{AssertUnwindSafe, catch_unwind};
use world::World;

/// How many seeds are tried when nobody says.
const SEEDS: u64 = 3_000;

#[expect(clippy::disallowed_methods, reason = "whoever replays a seed names it in the environment")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn nothing_is_lost_run_twice_over_its_limit_or_starved() {
    if let Some(seed) = number("MAYFLY_SEED") {
        World::new(seed).run();
        return;
    }
    let mut steps = 0;
    for seed in 0..number("MAYFLY_SEEDS").unwrap_or(SEEDS) {
        match catch_unwind(AssertUnwindSafe(|| World::new(seed).run())) {
            Ok(taken) => steps += taken,
            Err(panic) => {
                eprintln!("seed {seed} failed; replay it with MAYFLY_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{steps} steps");
}

#[test]
fn a_seed_replays_to_the_same_end() {
    let ends = |seed| {
        let mut world = World::new(seed);
        world.run();
        world.history()
    };
    for seed in 0..20 {
        assert!(ends(seed) == ends(seed), "{seed}");
    }
}

#[test]
fn the_model_of_the_store_does_as_the_store_does() {
    for seed in 0..12 {
        shelf::compare(&mut Random::new(seed));
    }
}
