//! `GetFunction`: a function's configuration, its tags, and where its zip can be downloaded.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html>

use super::Lambda;
use super::error::Error;
use super::function::Function;
use super::layer::{LAYERS, LayerArn};
use super::name::Named;
use futures::stream;
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use http_body::Frame;
use http_body_util::StreamBody;
use model::limits::CODE_URL;
use model::{CodeId, FunctionArn};
use ring::hmac;
use serde_json::{Value, json};
use store::View;
use store::blob::BlobId;
use store::rules::RESERVED;
use tokio::io::AsyncReadExt;
use wire::rest_json::Call;
use wire::{Body, Fault, Response};

/// The path below which zips are downloaded: `/_mayfly/code/ARN/CODE?Expires=SECONDS&Signature=...`.
pub const CODE_PATH: &str = "/_mayfly/code/";

/// The bytes of a zip that are in memory at one time.
const CHUNK: usize = 64 * 1024;

/// Shows one function.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let named = Named::parse(&call, call.label("FunctionName"), call.query("Qualifier"))?;
    let function = lambda.store.read(|view| Function::resolve(view, &named))?;
    let reserved = lambda.store.read(|view| view.get(&RESERVED, named.arn.as_str()))?;
    let location = lambda.location(function.spec.arn.as_str(), &function.spec.code);
    let mut shown = json!({
        "Configuration": lambda.shown(&function, &named.shown()),
        "Code": {"RepositoryType": "S3", "Location": location},
    });
    // Tags are the function's, whichever of its versions is shown.
    let whole = lambda.store.read(|view| Function::load(view, &named))?;
    if !whole.about.tags.is_empty() {
        shown["Tags"] = json!(whole.about.tags);
    }
    if let Some(reserved) = reserved {
        shown["Concurrency"] = json!({"ReservedConcurrentExecutions": reserved.executions});
    }
    Ok(shown)
}

impl Lambda {
    /// Where the zip of what this ARN names can be downloaded for ten minutes from now on.
    pub(super) fn location(&self, arn: &str, code: &CodeId) -> String {
        let expires = self.store.now().after(CODE_URL).seconds();
        let path = format!("{arn}/{code}");
        let signature = hex(hmac::sign(&self.signer(), &signed(&path, expires)).as_ref());
        format!("{}{CODE_PATH}{path}?Expires={expires}&Signature={signature}", self.endpoint.get())
    }

    fn signer(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.store.key().bytes())
    }

    /// Whether `query` is what [`Lambda::location`] has given out for `path`, and still holds.
    ///
    /// # Errors
    /// What the caller is told, as by S3.
    pub fn may_have_code(&self, path: &str, query: &str) -> Result<(), Fault> {
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
        };
        let denied = |message: &str| Fault::new("AccessDenied", 403, message);
        let expires = value("Expires").and_then(|expires| expires.parse::<i64>().ok());
        let signature = value("Signature").and_then(unhex);
        let (Some(expires), Some(signature)) = (expires, signature) else {
            return Err(denied("Access Denied"));
        };
        hmac::verify(&self.signer(), &signed(path, expires), &signature)
            .map_err(|_| denied("Access Denied"))?;
        match self.store.now().seconds() > expires {
            true => Err(denied("Request has expired")),
            false => Ok(()),
        }
    }

    /// The zip of a function as a download; `path` is what follows [`CODE_PATH`]: the ARN of the function or a
    /// version of it, and the code that it has now.
    ///
    /// # Errors
    /// Faults of the store. `None` means that there is no such code.
    pub fn code(&self, path: &str) -> store::Result<Option<Response>> {
        let Some((arn, code)) = path.split_once('/') else { return Ok(None) };
        let Some((name, zip, len)) = self.store.read(|view| zip_of(view, arn, code))? else {
            return Ok(None);
        };
        let file = tokio::fs::File::from_std(self.store.blobs().read(zip)?);
        let chunks = stream::try_unfold(file, |mut file| async move {
            let mut chunk = vec![0; CHUNK];
            let length = file.read(&mut chunk).await?;
            chunk.truncate(length);
            Ok::<_, std::io::Error>((length > 0).then(|| (Frame::data(chunk.into()), file)))
        });
        let mut response = Response::new(Body::stream(StreamBody::new(chunks)));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/zip"));
        headers.insert(CONTENT_LENGTH, len.into());
        let name = format!("attachment; filename=\"{name}.zip\"");
        if let Ok(name) = HeaderValue::from_str(&name) {
            headers.insert(CONTENT_DISPOSITION, name);
        }
        Ok(Some(response))
    }
}

/// What a signature is made of.
fn signed(path: &str, expires: i64) -> Vec<u8> {
    format!("mayfly code\n{path}\n{expires}").into_bytes()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.map(byte).collect::<Option<Vec<_>>>().filter(|bytes| bytes.len() * 2 == text.len())
}

/// The name, the zip and its length of a function or a version of it, or of a version of a layer, if it has this code.
fn zip_of(view: &View<'_>, arn: &str, code: &str) -> store::Result<Option<(String, BlobId, u64)>> {
    if let Some(arn) = FunctionArn::parse(arn) {
        let function = Function::find(view, &arn)?.filter(|function| function.spec.code.0 == code);
        return Ok(
            function.map(|function| (arn.name().to_owned(), function.about.zip, function.about.zip_len))
        );
    }
    let Some((arn, number)) = LayerArn::of_version(arn) else { return Ok(None) };
    let layer = view.get(&LAYERS, arn.key(number))?.filter(|layer| layer.code.0 == code);
    Ok(layer.map(|layer| (arn.name.clone(), layer.zip, layer.zip_len)))
}

#[cfg(test)]
mod tests {
    use super::{CODE_PATH, hex, hmac, signed};
    use crate::lambda::testing::{ARN, Bench, ZIP, base64};
    use serde_json::json;

    #[tokio::test]
    async fn a_function_is_shown_with_a_way_to_its_code() {
        let bench = Bench::new();
        bench.create(json!({"Tags": {"team": "a"}})).await;
        let got = bench.get("/2015-03-31/functions/f").await.body;
        assert_eq!(got["Tags"], json!({"team": "a"}));
        assert_eq!(got["Code"]["RepositoryType"], "S3");
        assert_eq!(got.get("Concurrency"), None);
        let location = got["Code"]["Location"].as_str().unwrap();
        let path = location.strip_prefix("http://127.0.0.1:4566").unwrap().strip_prefix(CODE_PATH).unwrap();
        let (path, query) = path.split_once('?').unwrap();
        let may =
            |path: &str, query: &str| bench.lambda.may_have_code(path, query).map_err(|fault| fault.message);
        may(path, query).unwrap();
        for (path, query) in [(path, ""), ("other", query), (path, &query.replace("Expires=", "Expires=1"))] {
            assert_eq!(may(path, query).unwrap_err(), "Access Denied");
        }
        let old = hex(hmac::sign(&bench.lambda.signer(), &signed(path, 1)).as_ref());
        let old = may(path, &format!("Expires=1&Signature={old}"));
        assert_eq!(old.unwrap_err(), "Request has expired");
        let download = bench.lambda.code(path).unwrap().unwrap();
        assert_eq!(base64(&download.into_body().read(1000).await.unwrap()), ZIP);
        for path in ["f", "f/0", &format!("{ARN}/0"), &format!("{ARN}:1/x"), ""] {
            assert!(bench.lambda.code(path).unwrap().is_none());
        }
        let latest = bench.get("/2015-03-31/functions/f?Qualifier=$LATEST").await.body;
        assert_eq!(latest["Configuration"]["FunctionArn"], format!("{ARN}:$LATEST"));
    }

    #[tokio::test]
    async fn a_function_that_is_not_there_is_named() {
        let bench = Bench::new();
        for path in ["/2015-03-31/functions/f", "/2015-03-31/functions/f/configuration"] {
            let got = bench.get(path).await;
            got.refused(404, "ResourceNotFoundException", &format!("Function not found: {ARN}"));
        }
    }
}
