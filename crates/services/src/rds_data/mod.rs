//! The RDS Data API: SQL over HTTP.
