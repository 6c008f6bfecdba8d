//! Names of databases: a cluster's ARN and a database inside it, checked so that a file name can be made of them.

use super::SqlError;
use std::fmt;

/// The database of a request that names none.
const DEFAULT_DATABASE: &str = "main";

/// The longest name of a database, as the API's model has it.
const DATABASE_LEN: usize = 64;

/// A database cluster, known by its ARN alone: it exists as soon as something is stored in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cluster {
    region: String,
    account: String,
    name: String,
}

impl Cluster {
    /// Reads `arn:aws:rds:REGION:ACCOUNT:cluster:NAME`.
    ///
    /// # Errors
    /// [`SqlError::Name`] when `arn` is anything else.
    pub fn parse(arn: &str) -> Result<Self, SqlError> {
        let parts: Vec<&str> = arn.split(':').collect();
        match parts[..] {
            ["arn", "aws", "rds", region, account, "cluster", name]
                if is_region(region) && is_account(account) && is_cluster_name(name) =>
            {
                // RDS keeps cluster identifiers in lower case.
                Ok(Cluster { region: region.into(), account: account.into(), name: name.to_lowercase() })
            }
            _ => Err(SqlError::Name(
                "The resource ARN is not that of a cluster: use \
                 arn:aws:rds:REGION:ACCOUNT:cluster:NAME, where NAME has 1 to 63 letters, digits and single \
                 hyphens, and begins with a letter."
                    .into(),
            )),
        }
    }
}

/// One database of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DatabaseName {
    cluster: Cluster,
    database: String,
}

impl DatabaseName {
    /// The database called `name` of `cluster`, or the cluster's `main` one. Upper and lower case differ.
    ///
    /// # Errors
    /// [`SqlError::Name`] when the name cannot be used.
    pub fn new(cluster: Cluster, name: Option<&str>) -> Result<Self, SqlError> {
        let database = name.filter(|name| !name.is_empty()).unwrap_or(DEFAULT_DATABASE);
        let fits = database.len() <= DATABASE_LEN
            && database.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if !fits {
            return Err(SqlError::Name(format!(
                "The name of a database has 1 to {DATABASE_LEN} letters, digits, underscores and hyphens."
            )));
        }
        Ok(DatabaseName { cluster, database: database.into() })
    }

    pub(super) fn is_in(&self, cluster: &Cluster) -> bool {
        self.cluster == *cluster
    }

    /// The name of its file. No part has a dot, so no two databases share one.
    pub(super) fn file_name(&self) -> String {
        let Cluster { region, account, name } = &self.cluster;
        format!("{region}.{account}.{name}.{}.{EXTENSION}", self.database)
    }
}

impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file_name())
    }
}

/// How the files of databases end, as opposed to the files that SQLite keeps beside them.
pub(super) const EXTENSION: &str = "sqlite";

fn is_region(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Source: `DBClusterIdentifier` in
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html>
fn is_cluster_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.ends_with('-')
        && !text.contains("--")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_one_file_name() {
        let cluster = Cluster::parse("arn:aws:rds:us-east-1:000000000000:cluster:Shop-1").unwrap();
        let name = DatabaseName::new(cluster.clone(), Some("orders_2")).unwrap();
        assert_eq!(name.file_name(), "us-east-1.000000000000.shop-1.orders_2.sqlite");
        let main = DatabaseName::new(cluster, None).unwrap();
        assert_eq!(main.file_name(), "us-east-1.000000000000.shop-1.main.sqlite");
    }

    #[test]
    fn a_name_that_could_climb_out_or_clash_is_refused() {
        for arn in [
            "",
            "arn:aws:rds:us-east-1:000000000000:cluster:",
            "arn:aws:rds:us-east-1:000000000000:cluster:a/b",
            "arn:aws:rds:us-east-1:000000000000:cluster:..",
            "arn:aws:rds:us-east-1:000000000000:cluster:1a",
            "arn:aws:rds:us-east-1:000000000000:cluster:a--b",
            "arn:aws:rds:us-east-1:000000000000:cluster:a-",
            "arn:aws:rds:us-east-1:000000000000:cluster:a:b",
            "arn:aws:rds:us-east-1:00000000000:cluster:a",
            "arn:aws:rds:../..:000000000000:cluster:a",
            "arn:aws:rds::000000000000:cluster:a",
            "arn:aws:rds:us-east-1:000000000000:db:a",
        ] {
            assert!(matches!(Cluster::parse(arn), Err(SqlError::Name(_))), "{arn}");
        }
        let cluster = Cluster::parse("arn:aws:rds:us-east-1:000000000000:cluster:a").unwrap();
        for name in ["../x", "a.b", "a/b", "a b", "ä", "a\0", &"x".repeat(65)] {
            assert!(
                matches!(DatabaseName::new(cluster.clone(), Some(name)), Err(SqlError::Name(_))),
                "{name}"
            );
        }
    }
}
