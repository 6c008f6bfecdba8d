//! The launcher as a program of its own, for the tests and benches of this crate.

fn main() {
    sandbox::launcher::main()
}
