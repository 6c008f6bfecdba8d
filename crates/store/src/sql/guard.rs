//! What a statement may do. The SQL comes from functions and is not trusted: a statement stays inside its own
//! database, leaves the connection as it found it, and has bounds on what it uses.

use model::limits;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext};
use rusqlite::limits::Limit;
use rusqlite::{Connection, Result};
use std::time::Duration;

/// Pragmas that only tell something; the argument names a table or a count.
const PRAGMAS: &[&str] = &[
    "collation_list",
    "foreign_key_check",
    "foreign_key_list",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// Pragmas that tell something without an argument and change something with one.
const PRAGMAS_TO_READ: &[&str] = &["encoding", "foreign_keys", "freelist_count", "page_count", "page_size"];

/// Numbers in the database's header that applications keep for themselves.
const PRAGMAS_TO_WRITE: &[&str] = &["application_id", "user_version"];

/// Functions that reach out of the database.
const FUNCTIONS: &[&str] = &["load_extension", "fts3_tokenizer", "sqlite_log"];

const NO_TEMPORARY: &str = "Temporary tables, indexes, views and triggers are not supported: the next statement \
                            may run on another connection.";

/// Says why a statement may not do what `context` tells, if so.
pub(super) fn judge(context: &AuthContext<'_>) -> std::result::Result<(), &'static str> {
    match &context.action {
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => Err(
            "Transactions are begun and ended with the operations BeginTransaction, CommitTransaction and \
             RollbackTransaction, not in SQL.",
        ),
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => {
            Err("A statement works on its own database only: ATTACH, DETACH and VACUUM are not allowed.")
        }
        AuthAction::CreateVtable { .. } | AuthAction::DropVtable { .. } => {
            Err("Virtual tables are not supported.")
        }
        AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::DropTempIndex { .. }
        | AuthAction::DropTempTable { .. }
        | AuthAction::DropTempTrigger { .. }
        | AuthAction::DropTempView { .. } => Err(NO_TEMPORARY),
        // `CREATE TABLE temp.x` comes under the plain name.
        AuthAction::CreateIndex { .. }
        | AuthAction::CreateTable { .. }
        | AuthAction::CreateTrigger { .. }
        | AuthAction::CreateView { .. }
            if context.database_name.is_some_and(|name| name.eq_ignore_ascii_case("temp")) =>
        {
            Err(NO_TEMPORARY)
        }
        AuthAction::Function { function_name } if lists(FUNCTIONS, function_name) => {
            Err("This function is not allowed.")
        }
        AuthAction::Pragma { pragma_name, pragma_value } => {
            let allowed = lists(PRAGMAS, pragma_name)
                || lists(PRAGMAS_TO_WRITE, pragma_name)
                || (pragma_value.is_none() && lists(PRAGMAS_TO_READ, pragma_name));
            if allowed { Ok(()) } else { Err("This PRAGMA is not allowed.") }
        }
        AuthAction::Unknown { .. } => Err("This statement is not allowed."),
        _ => Ok(()),
    }
}

fn lists(names: &[&str], name: &str) -> bool {
    names.iter().any(|listed| listed.eq_ignore_ascii_case(name))
}

/// Sets up a connection that was just opened, before anybody's statement runs on it.
pub(super) fn configure(connection: &Connection, database_bytes: u64) -> Result<()> {
    // The wait covers moments at which SQLite itself takes the file, such as recovery after a crash; writers
    // wait for one another before they come here.
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA temp_store = FILE; PRAGMA cache_size = -2048; PRAGMA mmap_size = 0;
         PRAGMA journal_size_limit = 16777216; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
    )?;
    let page_size: u32 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let pages = database_bytes / u64::from(page_size.max(1));
    connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    for (config, value) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
        // A name in double quotes that fits no column is an error, as in other databases, and not a string.
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
    ] {
        connection.set_db_config(config, value)?;
    }
    for (limit, value) in [
        (Limit::SQLITE_LIMIT_LENGTH, limits::SQL_VALUE),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, limits::SQL_TEXT),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_COLUMN, 1_000),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
        (Limit::SQLITE_LIMIT_PARSER_DEPTH, 1_000),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 100),
        (Limit::SQLITE_LIMIT_VDBE_OP, 1_000_000),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000),
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 2_000),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 32),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection.set_limit(limit, i32::try_from(value).unwrap_or(i32::MAX))?;
    }
    connection.set_prepared_statement_cache_capacity(16);
    Ok(())
}
