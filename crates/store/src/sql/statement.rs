//! One statement and what it did: parameters in, rows and counts out.

use super::SqlError;
use super::session::Session;
use model::limits;
use rusqlite::CachedStatement;
use rusqlite::types::{Value, ValueRef};
use std::collections::HashMap;

/// The values for a statement's placeholders, by name without the colon.
pub type Parameters = Vec<(String, Value)>;

/// An SQL text and the sets of values that it runs with: once for each set.
#[derive(Debug, Default)]
pub struct Statement {
    /// The text: exactly one statement.
    pub sql: String,
    /// The sets.
    pub sets: Vec<Parameters>,
    /// Whether the rows of its result are wanted.
    pub rows: bool,
}

/// What one run of a statement did.
#[derive(Debug, Default)]
pub struct Effect {
    /// The columns of its result; none if it has no result, or its rows are not wanted.
    pub columns: Vec<Column>,
    /// The rows of its result.
    pub rows: Vec<Vec<Value>>,
    /// How many rows it inserted, changed or deleted.
    pub changes: u64,
    /// The row id of the last row that it inserted.
    pub inserted: Option<i64>,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in the result.
    pub label: String,
    /// Its name in its table; the label again for an expression.
    pub name: String,
    /// The table it comes from, if it comes from one.
    pub table: Option<String>,
    /// The type it was declared with.
    pub declared: Option<String>,
    /// Whether it may be null; unknown for an expression.
    pub nullable: Option<bool>,
    /// Whether it is declared AUTOINCREMENT.
    pub auto_increment: bool,
}

impl Statement {
    /// Whether the text begins like one that writes. A hint that saves a way: the database decides.
    pub(super) fn seems_to_write(&self) -> bool {
        const WRITERS: [&str; 7] = ["INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "DROP", "ALTER"];
        let start = self.sql.trim_start();
        let word = start.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        WRITERS.iter().any(|writer| writer.eq_ignore_ascii_case(word))
    }

    /// Runs it on `session` with each of its sets; `None`, with nothing done, if it would write and must not.
    pub(super) fn run(&self, session: &Session, may_write: bool) -> Result<Option<Vec<Effect>>, SqlError> {
        let mut prepared = session.prepare(&self.sql)?;
        if !may_write && !prepared.readonly() {
            return Ok(None);
        }
        let mut room = limits::SQL_RESULT;
        let mut effects = Vec::with_capacity(self.sets.len());
        for set in &self.sets {
            bind(session, &mut prepared, set)?;
            let count = session.count();
            let mut rows = Vec::new();
            let mut found = prepared.raw_query();
            while let Some(row) = found.next().map_err(|error| session.fault(error))? {
                if self.rows {
                    rows.push(read_row(session, row, &mut room)?);
                }
            }
            drop(found);
            // Only now: a statement that was kept is compiled again if the tables have changed since.
            let columns = if self.rows { columns(session, &prepared) } else { Vec::new() };
            let (changes, inserted) = session.counted_since(count);
            effects.push(Effect { columns, rows, changes, inserted });
        }
        Ok(Some(effects))
    }
}

fn bind(session: &Session, prepared: &mut CachedStatement<'_>, set: &Parameters) -> Result<(), SqlError> {
    let mut values = HashMap::with_capacity(set.len());
    for (name, value) in set {
        if values.insert(name.as_str(), value).is_some() {
            return Err(SqlError::Twice(name.clone()));
        }
    }
    for index in 1..=prepared.parameter_count() {
        let placeholder = prepared.parameter_name(index).and_then(|name| name.strip_prefix(':'));
        let name = placeholder.ok_or(SqlError::Unnamed)?;
        let value = values.remove(name).ok_or_else(|| SqlError::Missing(name.to_owned()))?;
        prepared.raw_bind_parameter(index, value).map_err(|error| session.fault(error))?;
    }
    // What is left fits no placeholder; name the first in the caller's order.
    match set.iter().find(|(name, _)| values.contains_key(name.as_str())) {
        Some((name, _)) => Err(SqlError::Unused(name.clone())),
        None => Ok(()),
    }
}

fn read_row(session: &Session, row: &rusqlite::Row<'_>, room: &mut usize) -> Result<Vec<Value>, SqlError> {
    let columns = row.as_ref().column_count();
    let mut values = Vec::with_capacity(columns);
    for index in 0..columns {
        let value = row.get_ref(index).map_err(|error| session.fault(error))?;
        let size = match value {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len().max(8),
            _ => 8,
        };
        *room = room.checked_sub(size).ok_or(SqlError::TooLarge)?;
        values.push(match value {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Integer(number),
            ValueRef::Real(number) => Value::Real(number),
            // SQLite does not check that text is UTF-8; JSON must be.
            ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
            ValueRef::Blob(bytes) => Value::Blob(bytes.to_owned()),
        });
    }
    Ok(values)
}

fn columns(session: &Session, prepared: &CachedStatement<'_>) -> Vec<Column> {
    let declared = prepared.columns().map(|column| column.decl_type().map(str::to_owned));
    let origins = prepared.columns_with_metadata();
    origins
        .zip(declared)
        .map(|(column, declared)| {
            let origin = column.table_name().zip(column.origin_name());
            let facts =
                origin.and_then(|(table, name)| session.column_facts(column.database_name(), table, name));
            Column {
                label: column.name().to_owned(),
                name: column.origin_name().unwrap_or(column.name()).to_owned(),
                table: column.table_name().map(str::to_owned),
                declared,
                nullable: facts.map(|(not_null, _)| !not_null),
                auto_increment: facts.is_some_and(|(_, auto_increment)| auto_increment),
            }
        })
        .collect()
}
