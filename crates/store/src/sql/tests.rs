//! The databases from the outside, on real files.

use super::*;
use std::path::PathBuf;

const ARN: &str = "arn:aws:rds:us-east-1:000000000000:cluster:test";

fn open(dir: &Path) -> Databases {
    Databases::open(dir).unwrap()
}

fn with(dir: &Path, change: impl FnOnce(&mut Limits)) -> Databases {
    let mut limits = Limits::default();
    change(&mut limits);
    Databases::with_limits(dir, limits).unwrap()
}

fn cluster() -> Cluster {
    Cluster::parse(ARN).unwrap()
}

fn name() -> DatabaseName {
    DatabaseName::new(cluster(), None).unwrap()
}

async fn run_in(
    databases: &Databases,
    transaction: Option<&str>,
    sql: &str,
    parameters: &[(&str, Value)],
) -> Result<Effect, SqlError> {
    let target = Target { cluster: cluster(), database: None, transaction: transaction.map(str::to_owned) };
    let set = parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let statement = Statement { sql: sql.to_owned(), sets: vec![set], rows: true };
    Ok(databases.execute(target, statement).await?.remove(0))
}

async fn run(databases: &Databases, sql: &str) -> Result<Effect, SqlError> {
    run_in(databases, None, sql, &[]).await
}

async fn number(databases: &Databases, sql: &str) -> i64 {
    match run(databases, sql).await.unwrap().rows[0][0] {
        Value::Integer(number) => number,
        ref other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_statement_says_what_it_did() {
    let dir = tempfile::tempdir().unwrap();
    let databases = open(dir.path());
    let made =
        run(&databases, "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, n TEXT NOT NULL, f REAL)");
    let made = made.await.unwrap();
    assert_eq!((made.changes, made.inserted, made.columns.len()), (0, None, 0));
    let added = run(&databases, "INSERT INTO t (n) VALUES ('a'), ('b');").await.unwrap();
    assert_eq!((added.changes, added.inserted), (2, Some(2)));
    let changed = run(&databases, "UPDATE t SET n = 'c' WHERE id = 1").await.unwrap();
    assert_eq!((changed.changes, changed.inserted), (1, None));
    let made = run(&databases, "CREATE INDEX t_n ON t (n)").await.unwrap();
    assert_eq!((made.changes, made.inserted), (0, None));
    let sql = "SELECT id AS key, n, f + 1 FROM t WHERE n = :n";
    let found = run_in(&databases, None, sql, &[("n", Value::Text("c".into()))]).await.unwrap();
    assert_eq!(found.rows, [[Value::Integer(1), Value::Text("c".into()), Value::Null]]);
    let [key, n, sum] = &found.columns[..] else { panic!("{found:?}") };
    assert_eq!((key.label.as_str(), key.name.as_str(), key.auto_increment), ("key", "id", true));
    assert_eq!(
        (n.declared.as_deref(), n.nullable, n.table.as_deref()),
        (Some("TEXT"), Some(false), Some("t"))
    );
    assert_eq!((sum.declared.as_deref(), sum.nullable), (None, None));
    assert_eq!(run(&databases, "SELECT * FROM t").await.unwrap().rows[0].len(), 3);
    run(&databases, "ALTER TABLE t ADD COLUMN g").await.unwrap();
    let wider = run(&databases, "SELECT * FROM t").await.unwrap();
    assert_eq!((wider.columns.len(), wider.rows[0].len()), (4, 4));
    let gone = run(&databases, "DELETE FROM t RETURNING id").await.unwrap();
    assert_eq!((gone.changes, gone.rows.len()), (2, 2));
}

#[tokio::test]
async fn parameters_must_fit() {
    let dir = tempfile::tempdir().unwrap();
    let databases = open(dir.path());
    let one = ("a", Value::Integer(1));
    for (sql, parameters, message) in [
        ("SELECT :a, :b", vec![one.clone()], "Cannot find parameter: b"),
        ("SELECT 1", vec![one.clone()], "no placeholder :a"),
        ("SELECT :a", vec![one.clone(), one.clone()], "a is given twice"),
        ("SELECT ?", vec![], "Only named parameters"),
        ("SELECT ?2", vec![], "Only named parameters"),
        ("SELECT @a", vec![one.clone()], "Only named parameters"),
        ("SELECT $a", vec![one.clone()], "Only named parameters"),
        ("", vec![], "no statement"),
        (" -- nothing\n;", vec![], "no statement"),
        ("SELECT 1; SELECT 2", vec![], "Multistatements aren't supported."),
        ("SELECT 1; nonsense", vec![], "Multistatements aren't supported."),
        ("SELEC 1", vec![], "near \"SELEC\": syntax error"),
        ("SELECT \"a\"", vec![], "no such column"),
    ] {
        let error = run_in(&databases, None, sql, &parameters).await.unwrap_err().to_string();
        assert!(error.contains(message), "{sql}: {error}");
    }
    let many = "SELECT 1;".repeat(7_000);
    assert!(matches!(run(&databases, &many).await, Err(SqlError::Multiple)));
    let long = format!("SELECT '{}'", "x".repeat(limits::SQL_TEXT));
    assert!(matches!(run(&databases, &long).await, Err(SqlError::TextTooLong(_))));
    run(&databases, "CREATE TABLE t (a)").await.unwrap();
    let trigger = "CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM t; SELECT 1; END;";
    run(&databases, trigger).await.unwrap();
}

#[tokio::test]
async fn hostile_statements_are_refused_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let databases = open(dir.path());
    run(&databases, "CREATE TABLE t (a)").await.unwrap();
    run(&databases, "INSERT INTO t VALUES (1)").await.unwrap();
    let outside = dir.path().join("outside");
    let attach = format!("ATTACH '{}' AS other", outside.display());
    let vacuum = format!("VACUUM INTO '{}'", outside.display());
    for sql in [
        attach.as_str(),
        vacuum.as_str(),
        "DETACH main",
        "VACUUM",
        "BEGIN",
        "BEGIN IMMEDIATE",
        "COMMIT",
        "END",
        "ROLLBACK",
        "SAVEPOINT call",
        "RELEASE call",
        "ROLLBACK TO call",
        "SELECT load_extension('x')",
        "SELECT fts3_tokenizer('simple')",
        "SELECT writefile('x', 'y')",
        "SELECT readfile('/etc/passwd')",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode = OFF",
        "PRAGMA journal_mode",
        "PRAGMA synchronous = OFF",
        "PRAGMA max_page_count = 1000000000",
        "PRAGMA cache_size = 1000000",
        "PRAGMA temp_store_directory = '/'",
        "PRAGMA hard_heap_limit = 1",
        "PRAGMA soft_heap_limit = 1",
        "PRAGMA mmap_size = 1000000000",
        "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA busy_timeout = 1",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA trusted_schema = ON",
        "PRAGMA query_only = ON",
        "PRAGMA database_list",
        "SELECT * FROM pragma_database_list",
        "SELECT * FROM pragma_journal_mode",
        "UPDATE sqlite_master SET sql = 'x'",
        "DELETE FROM sqlite_schema",
        "INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 2, 'x')",
        "CREATE TEMP TABLE x (a)",
        "CREATE TABLE temp.x (a)",
        "CREATE TEMP VIEW x AS SELECT 1",
        "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
        "CREATE VIRTUAL TABLE x USING fts5 (a)",
        "CREATE VIRTUAL TABLE x USING dbstat",
        "EXPLAIN ATTACH 'x' AS y",
        "CREATE TABLE t2 AS SELECT zeroblob(1000000000)",
        "SELECT zeroblob(1000000000)",
        "SELECT printf('%.*c', 1000000000, 'x')",
        "SELECT replace(hex(zeroblob(1000000)), '0', hex(zeroblob(1000)))",
        "SELECT a LIKE '%%' || hex(zeroblob(1000)) FROM t",
    ] {
        let result = run(&databases, sql).await;
        let error = match result {
            Err(SqlError::Forbidden(text)) => text.to_owned(),
            Err(SqlError::Refused(text)) => text,
            other => panic!("{sql}: {other:?}"),
        };
        assert!(!error.contains(&*dir.path().to_string_lossy()), "{sql}: {error}");
    }
    let deep = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(matches!(run(&databases, &deep).await, Err(SqlError::Refused(_))));
    let nested = format!("SELECT 1{}", "+1".repeat(20_000));
    assert!(matches!(run(&databases, &nested).await, Err(SqlError::Refused(_))));
    let selects = vec!["SELECT 1"; 500].join(" UNION ");
    assert!(matches!(run(&databases, &selects).await, Err(SqlError::Refused(_))));
    assert!(!outside.exists());
    assert_eq!(number(&databases, "SELECT count(*) FROM t").await, 1);
}

#[tokio::test]
async fn harmless_statements_are_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let databases = open(dir.path());
    for sql in [
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b DECIMAL(10, 2) DEFAULT 1)",
        "ALTER TABLE t ADD COLUMN c JSON",
        "ALTER TABLE t RENAME COLUMN c TO d",
        "ALTER TABLE t DROP COLUMN b",
        "ALTER TABLE t RENAME TO u",
        "CREATE UNIQUE INDEX u_a ON u (a)",
        "CREATE VIEW v AS SELECT a FROM u",
        "INSERT INTO u (a) VALUES ('x') ON CONFLICT (a) DO UPDATE SET d = excluded.d",
        "WITH x AS (SELECT 1 AS n) INSERT INTO u (a) SELECT n FROM x",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 9) SELECT sum(n) FROM r",
        "SELECT value FROM json_each('[1,2]')",
        "SELECT row_number() OVER (ORDER BY id) FROM u",
        "SELECT datetime('now'), random(), upper('x')",
        "EXPLAIN QUERY PLAN SELECT * FROM u",
        "PRAGMA table_info(u)",
        "SELECT name FROM pragma_table_info('u')",
        "PRAGMA user_version = 3",
        "PRAGMA user_version",
        "PRAGMA integrity_check",
        "ANALYZE",
        "REINDEX u_a",
        "DROP VIEW v",
        "DROP TABLE u",
    ] {
        run(&databases, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

const ENDLESS: &str = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r)";

#[tokio::test]
async fn results_and_size_have_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let databases = with(dir.path(), |limits| limits.database_bytes = 1 << 20);
    let result = run(&databases, &format!("{ENDLESS} SELECT n FROM r")).await;
    assert!(matches!(result, Err(SqlError::TooLarge)), "{result:?}");
    run(&databases, "CREATE TABLE t (a)").await.unwrap();
    let result = run(&databases, "INSERT INTO t SELECT zeroblob(1100000)").await;
    assert!(matches!(&result, Err(SqlError::Refused(text)) if text.contains("full")), "{result:?}");
    assert_eq!(number(&databases, "SELECT count(*) FROM t").await, 0);
}

#[tokio::test]
async fn time_has_a_bound() {
    let dir = tempfile::tempdir().unwrap();
    // Long enough for the ordinary statements below on a busy machine.
    let databases = with(dir.path(), |limits| limits.call = Duration::from_secs(2));
    let result = run(&databases, &format!("{ENDLESS} SELECT count(*) FROM r")).await;
    assert!(matches!(result, Err(SqlError::Timeout(_))), "{result:?}");

    run(&databases, "CREATE TABLE t (a)").await.unwrap();
    // SQLite gathers all rows before the first is inserted, so that no bound of size comes first.
    let result = run(&databases, &format!("INSERT INTO t {ENDLESS} SELECT n FROM r RETURNING a")).await;
    assert!(matches!(result, Err(SqlError::Timeout(_))), "{result:?}");

    // A write that is cut off takes its whole transaction with it.
    let id = databases.begin(name()).unwrap();
    run_in(&databases, Some(&id), "INSERT INTO t VALUES (1)", &[]).await.unwrap();
    let endless = format!("UPDATE t SET a = ({ENDLESS} SELECT count(*) FROM r)");
    let result = run_in(&databases, Some(&id), &endless, &[]).await;
    assert!(matches!(result, Err(SqlError::Timeout(_))), "{result:?}");
    let result = run_in(&databases, Some(&id), "SELECT 1", &[]).await;
    assert!(matches!(result, Err(SqlError::NoTransaction(_))), "{result:?}");
    run(&databases, "INSERT INTO t VALUES (2)").await.unwrap();
    assert_eq!(number(&databases, "SELECT sum(a) FROM t").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_at_the_same_time_all_succeed() {
    let dir = tempfile::tempdir().unwrap();
    let databases = open(dir.path());
    run(&databases, "CREATE TABLE item (id INTEGER PRIMARY KEY, task INTEGER)").await.unwrap();
    run(&databases, "CREATE TABLE counter (n INTEGER)").await.unwrap();
    run(&databases, "INSERT INTO counter VALUES (0)").await.unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let databases = databases.clone();
            tokio::spawn(async move {
                for round in 0..5 {
                    let id = databases.begin(name()).unwrap();
                    run_in(&databases, Some(&id), "SELECT n FROM counter", &[]).await.unwrap();
                    let insert = "INSERT INTO item (task) VALUES (:task)";
                    run_in(&databases, Some(&id), insert, &[("task", Value::Integer(task))]).await.unwrap();
                    run_in(&databases, Some(&id), "UPDATE counter SET n = n + 1", &[]).await.unwrap();
                    let end = if round == 4 { End::Rollback } else { End::Commit };
                    databases.end(&cluster(), &id, end).await.unwrap();
                    run(&databases, "UPDATE counter SET n = n + 1").await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(number(&databases, "SELECT n FROM counter").await, 16 * (4 + 5));
    assert_eq!(number(&databases, "SELECT count(*) FROM item").await, 16 * 4);
}

#[tokio::test]
async fn a_transaction_is_seen_by_others_when_it_commits_and_readers_do_not_wait() {
    let dir = tempfile::tempdir().unwrap();
    let databases = with(dir.path(), |limits| limits.call = Duration::from_secs(2));
    run(&databases, "CREATE TABLE t (a INTEGER UNIQUE)").await.unwrap();
    let id = databases.begin(name()).unwrap();
    // A first write that fails keeps nobody waiting.
    run_in(&databases, Some(&id), "INSERT INTO missing VALUES (1)", &[]).await.unwrap_err();
    run(&databases, "DELETE FROM t").await.unwrap();
    run_in(&databases, Some(&id), "INSERT INTO t VALUES (1)", &[]).await.unwrap();
    assert_eq!(number(&databases, "SELECT count(*) FROM t").await, 0);
    let waited = run(&databases, "INSERT INTO t VALUES (2)").await;
    assert!(matches!(waited, Err(SqlError::Timeout(text)) if text.contains("other writers")));
    // A statement that fails leaves the transaction as it was.
    let failed = run_in(&databases, Some(&id), "INSERT INTO t VALUES (3), (1)", &[]).await;
    assert!(matches!(&failed, Err(SqlError::Refused(text)) if text.contains("UNIQUE")), "{failed:?}");
    databases.end(&cluster(), &id, End::Commit).await.unwrap();
    assert_eq!(number(&databases, "SELECT sum(a) FROM t").await, 1);
    let again = databases.end(&cluster(), &id, End::Commit).await;
    assert!(matches!(again, Err(SqlError::NoTransaction(_))));
}

#[tokio::test]
async fn a_transaction_belongs_to_its_database_and_has_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let databases = with(dir.path(), |limits| limits.transactions = 1);
    let id = databases.begin(name()).unwrap();
    assert!(matches!(databases.begin(name()), Err(SqlError::Full(_))));
    let other = Cluster::parse("arn:aws:rds:us-east-1:000000000000:cluster:other").unwrap();
    assert!(matches!(databases.end(&other, &id, End::Commit).await, Err(SqlError::NoTransaction(_))));
    let target = Target { cluster: cluster(), database: Some("b".into()), transaction: Some(id.clone()) };
    let select = Statement { sql: "SELECT 1".into(), sets: vec![vec![]], rows: true };
    assert!(matches!(databases.execute(target, select).await, Err(SqlError::OtherDatabase)));
    databases.end(&cluster(), &id, End::Rollback).await.unwrap();
    databases.begin(name()).unwrap();
}

#[tokio::test]
async fn a_transaction_that_rests_is_rolled_back_and_an_idle_database_closes() {
    let dir = tempfile::tempdir().unwrap();
    let databases = with(dir.path(), |limits| {
        limits.transaction_idle = Duration::from_secs(2);
        limits.connection_idle = Duration::from_millis(200);
    });
    run(&databases, "CREATE TABLE t (a)").await.unwrap();
    let id = databases.begin(name()).unwrap();
    run_in(&databases, Some(&id), "INSERT INTO t VALUES (1)", &[]).await.unwrap();
    // A writer that waits gets its turn when the resting transaction ends.
    run(&databases, "INSERT INTO t VALUES (2)").await.unwrap();
    assert_eq!(number(&databases, "SELECT sum(a) FROM t").await, 2);
    let gone = run_in(&databases, Some(&id), "SELECT 1", &[]).await;
    assert!(matches!(gone, Err(SqlError::NoTransaction(_))));
    // The last connection that closes writes the log back and removes it.
    let has_log = || files(dir.path()).iter().any(|path| path.to_string_lossy().ends_with("-wal"));
    let begun = Instant::now();
    while has_log() {
        assert!(begun.elapsed() < Duration::from_secs(30), "an idle database stays open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(databases.0.pool.idle_connections(), 0);
}

#[tokio::test]
async fn what_was_answered_survives_a_crash() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let databases = open(dir.path());
    run(&databases, "CREATE TABLE t (a)").await.unwrap();
    run(&databases, "INSERT INTO t VALUES (1)").await.unwrap();
    let id = databases.begin(name()).unwrap();
    run_in(&databases, Some(&id), "INSERT INTO t VALUES (2)", &[]).await.unwrap();
    // The files as a crash leaves them: no connection was closed, a transaction is open.
    for path in files(dir.path()) {
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    let reopened = open(copy.path());
    assert_eq!(number(&reopened, "SELECT sum(a) FROM t").await, 1);
}

#[tokio::test]
async fn databases_are_apart_and_their_number_has_a_bound() {
    let dir = tempfile::tempdir().unwrap();
    let databases = with(dir.path(), |limits| limits.databases = 2);
    for (database, expected) in [("a", true), ("b", true), ("a", true), ("c", false)] {
        let target = Target { cluster: cluster(), database: Some(database.into()), transaction: None };
        let statement = Statement { sql: "SELECT 1".into(), sets: vec![vec![]], rows: true };
        assert_eq!(databases.execute(target, statement).await.is_ok(), expected, "{database}");
    }
}

#[tokio::test]
async fn several_sets_are_one_piece_of_work() {
    let dir = tempfile::tempdir().unwrap();
    let databases = open(dir.path());
    run(&databases, "CREATE TABLE t (a INTEGER PRIMARY KEY)").await.unwrap();
    let target = Target { cluster: cluster(), database: None, transaction: None };
    let sets = |numbers: &[i64]| numbers.iter().map(|n| vec![("n".to_owned(), Value::Integer(*n))]).collect();
    let insert = |numbers: &[i64]| Statement {
        sql: "INSERT INTO t VALUES (:n)".into(),
        sets: sets(numbers),
        rows: false,
    };
    let effects = databases.execute(target.clone(), insert(&[1, 2])).await.unwrap();
    assert_eq!(effects.iter().map(|effect| effect.inserted).collect::<Vec<_>>(), [Some(1), Some(2)]);
    databases.execute(target.clone(), insert(&[3, 1])).await.unwrap_err();
    let id = databases.begin(name()).unwrap();
    let within = Target { transaction: Some(id.clone()), ..target };
    databases.execute(within.clone(), insert(&[4])).await.unwrap();
    databases.execute(within, insert(&[5, 1])).await.unwrap_err();
    databases.end(&cluster(), &id, End::Commit).await.unwrap();
    assert_eq!(number(&databases, "SELECT sum(a) FROM t").await, 1 + 2 + 4);
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).collect()
}
