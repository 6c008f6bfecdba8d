//! Virtual-host style: `bucket.localhost:4566/key` is `localhost:4566/bucket/key`.

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

/// The domains below which a host name's first labels are a bucket.
#[derive(Clone)]
pub(super) struct Domains(Vec<String>);

impl Domains {
    /// `localhost` and `s3.localhost` beside `more`.
    pub(super) fn new(more: &[String]) -> Self {
        let mut domains = vec!["localhost".to_owned(), "s3.localhost".to_owned()];
        domains.extend(more.iter().map(|domain| domain.to_ascii_lowercase()));
        // The longest match decides: `b.s3.localhost` is the bucket `b`.
        domains.sort_by_key(|domain| std::cmp::Reverse(domain.len()));
        Domains(domains)
    }

    fn bucket<'a>(&self, host: &'a str) -> Option<&'a str> {
        let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
        for domain in &self.0 {
            let Some(at) = name.len().checked_sub(domain.len()) else { continue };
            match (name.get(..at), name.get(at..)) {
                (Some(front), Some(end)) if end.eq_ignore_ascii_case(domain) => match front.strip_suffix('.')
                {
                    Some(bucket) if !bucket.is_empty() => return Some(bucket),
                    _ if front.is_empty() => return None,
                    _ => {}
                },
                _ => {}
            }
        }
        None
    }
}

impl Domains {
    /// The path of a request in path style: `/BUCKET/KEY`.
    pub(super) fn path_style(&self, host: Option<&str>, path: &str) -> String {
        match host.and_then(|host| self.bucket(host)) {
            Some(bucket) => format!("/{}{path}", bucket.to_ascii_lowercase()),
            None => path.to_owned(),
        }
    }

    /// The bucket that a request's host or path names, and whether a key follows.
    pub(super) fn bucket_of(&self, host: Option<&str>, path: &str) -> Option<(String, bool)> {
        let path = path.trim_start_matches('/');
        if let Some(bucket) = host.and_then(|host| self.bucket(host)) {
            return Some((bucket.to_ascii_lowercase(), !path.is_empty()));
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        (!bucket.is_empty()).then(|| (bucket.to_owned(), !key.is_empty()))
    }
}

impl S3Host for Domains {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        Ok(match self.bucket(host) {
            Some(bucket) => VirtualHost::new(host).with_bucket(bucket.to_ascii_lowercase()),
            // Any other name is one by which the server itself is reached: path style.
            None => VirtualHost::new(host),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_has_one_path_in_both_styles() {
        let domains = Domains::new(&[]);
        assert_eq!(domains.path_style(Some("Box.localhost:4566"), "/a/b"), "/box/a/b");
        assert_eq!(domains.path_style(Some("localhost:4566"), "/box/a/b"), "/box/a/b");
        assert_eq!(domains.path_style(None, "/"), "/");
    }

    #[test]
    fn a_bucket_is_what_stands_before_a_known_domain() {
        let domains = Domains::new(&["objects.example.com".to_owned()]);
        for (host, bucket) in [
            ("localhost:4566", None),
            ("s3.localhost", None),
            ("pictures.localhost:4566", Some("pictures")),
            ("pictures.s3.localhost", Some("pictures")),
            ("my.pictures.S3.LocalHost:1", Some("my.pictures")),
            ("a.objects.example.com", Some("a")),
            ("objects.example.com", None),
            ("elsewhere.example.com:80", None),
            ("notlocalhost", None),
            (".localhost", None),
            ("", None),
            ("ä.localhost", Some("ä")),
        ] {
            assert_eq!(domains.bucket(host), bucket, "{host}");
        }
    }
}
