//! The environment variables of a function.
