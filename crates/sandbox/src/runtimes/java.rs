//! Java.

use super::Kind;
use crate::Interpreter;
use model::FunctionSpec;
use std::io;
use std::path::Path;

pub(super) const KIND: Kind = Kind {
    oldest: (11, 0),
    is_named: |_| false,
    places: Vec::new,
    ask: |_| {},
    read: |_| None,
    prepare,
    command,
    environment: |_| Vec::new(),
};

fn prepare(_: &Interpreter, _: &Path) -> io::Result<()> {
    Ok(())
}

fn command(_: &Interpreter, _: &Path, _: &FunctionSpec) -> Vec<String> {
    Vec::new()
}
