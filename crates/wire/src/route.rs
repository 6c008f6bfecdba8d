//! Which face of the platform a request is for: by host name, by path, and by the scope of its signature.

use crate::Fault;
use crate::credential::Credential;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The Lambda API.
    Lambda,
    /// The RDS Data API.
    RdsData,
    /// Object storage.
    S3,
    /// Queues of messages.
    Sqs,
    /// The IAM API.
    Iam,
    /// The STS API.
    Sts,
    /// The CloudWatch Logs API.
    Logs,
    /// A function URL; `base` is the part of the path that names it and is not the function's business.
    Url {
        /// The id in `ID.lambda-url...` or `/lambda-url/ID/...`.
        id: String,
        /// The length of the leading part of the path that belongs to the platform.
        base: usize,
    },
    /// Read-only status of the platform itself.
    Status,
}

/// The path under which function URLs are reachable without their host name.
pub const URL_PATH: &str = "/lambda-url/";

/// The path under which the platform tells its own status.
pub const STATUS_PATH: &str = "/_mayfly/";

/// Decides where a request goes.
///
/// # Errors
/// A fault for a service that Mayfly does not have, and for a request that should be signed and is not.
pub fn route(host: Option<&str>, path: &str, credential: Option<&Credential>) -> Result<Target, Fault> {
    if let Some(id) = host.and_then(url_id_of_host) {
        return Ok(Target::Url { id: id.to_owned(), base: 0 });
    }
    match credential.map(|credential| credential.service.as_str()) {
        // A bucket may be called `lambda-url` or `health`: the signature decides.
        Some("s3") => Ok(Target::S3),
        _ if path.starts_with(URL_PATH) => {
            let rest = &path[URL_PATH.len()..];
            let id = rest.split('/').next().unwrap_or(rest);
            Ok(Target::Url { id: id.to_owned(), base: URL_PATH.len() + id.len() })
        }
        Some("lambda") => Ok(Target::Lambda),
        Some("rds-data") => Ok(Target::RdsData),
        Some("sqs") => Ok(Target::Sqs),
        Some("iam") => Ok(Target::Iam),
        Some("sts") => Ok(Target::Sts),
        Some("logs") => Ok(Target::Logs),
        Some(other) => Err(Fault::new(
            "UnknownService",
            501,
            format!(
                "The service {other} is not supported by Mayfly; it has lambda, s3, sqs, iam, sts, logs and rds-data."
            ),
        )),
        None if path == "/health" || path.starts_with(STATUS_PATH) => Ok(Target::Status),
        None => Err(Fault::new(
            "MissingAuthenticationToken",
            403,
            "The request is not signed. Any access key and secret will do here, for instance \
             AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test.",
        )),
    }
}

fn url_id_of_host(host: &str) -> Option<&str> {
    let (id, rest) = host.split_once('.')?;
    rest.starts_with("lambda-url.").then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_find_their_service() {
        let url = |base| Target::Url { id: "abc".into(), base };
        for (host, path, service, expected) in [
            ("127.0.0.1:4566", "/2015-03-31/functions", Some("lambda"), Target::Lambda),
            ("127.0.0.1:4566", "/Execute", Some("rds-data"), Target::RdsData),
            ("127.0.0.1:4566", "/health", Some("s3"), Target::S3),
            ("127.0.0.1:4566", "/lambda-url/abc/x", Some("s3"), Target::S3),
            ("127.0.0.1:4566", "/health", None, Target::Status),
            ("127.0.0.1:4566", "/_mayfly/logs", None, Target::Status),
            ("127.0.0.1:4566", "/lambda-url/abc", None, url(15)),
            ("127.0.0.1:4566", "/lambda-url/abc/x/y", Some("lambda"), url(15)),
            ("abc.lambda-url.us-east-1.localhost:4566", "/x", None, url(0)),
            ("bucket.localhost:4566", "/key", Some("s3"), Target::S3),
        ] {
            let credential = service.map(|service| Credential {
                access_key: "k".into(),
                region: "r".into(),
                service: service.into(),
            });
            assert_eq!(route(Some(host), path, credential.as_ref()).unwrap(), expected, "{host} {path}");
        }
    }

    #[test]
    fn unsigned_requests_and_unknown_services_are_refused() {
        assert_eq!(route(None, "/bucket/key", None).unwrap_err().code, "MissingAuthenticationToken");
        let credential = Credential { access_key: "k".into(), region: "r".into(), service: "ec2".into() };
        let fault = route(None, "/", Some(&credential)).unwrap_err();
        assert_eq!(fault.status.as_u16(), 501);
        assert!(fault.message.contains("ec2"));
    }
}
