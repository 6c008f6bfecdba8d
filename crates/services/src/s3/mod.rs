//! Object storage: the S3 API.
