//! Puts the unpacked packages in order when the program starts: what no function has goes, what one lacks comes.

use super::Lambda;
use super::error::Error;
use super::function::{ABOUT, Function, Layer, VERSIONS};
use model::{CodeId, FunctionArn};
use std::collections::HashSet;
use store::kv::{From, SPECS};

/// How many functions are looked at in one snapshot.
const BATCH: usize = 256;

impl Lambda {
    /// Removes packages that no function has, and unpacks again those that are missing. To be called before
    /// anything runs: while events run, one of them may still use a package that its function has left behind.
    ///
    /// # Errors
    /// Faults of the store. A package that cannot be unpacked again is only logged: it concerns one function.
    pub async fn sweep(&self) -> store::Result<()> {
        let mut kept: HashSet<CodeId> = HashSet::new();
        for table in [ABOUT, VERSIONS] {
            let mut last: Vec<u8> = Vec::new();
            loop {
                let batch = self.store.read(|view| view.scan(&table, b"", From::After(&last), BATCH))?;
                let Some((key, _)) = batch.last() else { break };
                last.clone_from(key);
                for (key, about) in batch {
                    let Some(spec) = self.store.read(|view| view.get(&SPECS, spec_key(&key)))? else {
                        continue;
                    };
                    if let Some(layers) = &spec.layers
                        && kept.insert(layers.clone())
                        && !self.store.packages().contains(layers)
                    {
                        self.lay_again(&spec.arn, &about.layers).await?;
                    }
                    if kept.insert(spec.code.clone()) && !self.store.packages().contains(&spec.code) {
                        self.unpack_again(&Function { spec, about }).await?;
                    }
                }
            }
        }
        for code in self.store.packages().list()? {
            if !kept.contains(&code) {
                self.store.packages().remove(&code)?;
            }
        }
        Ok(())
    }

    async fn lay_again(&self, arn: &FunctionArn, layers: &[Layer]) -> store::Result<()> {
        match self.unpack_layers(layers).await {
            Ok(_) => Ok(()),
            Err(Error::Store(error)) => Err(error),
            Err(Error::Fault(fault)) => {
                tracing::error!(%arn, %fault, "cannot unpack a function's layers");
                Ok(())
            }
        }
    }

    async fn unpack_again(&self, function: &Function) -> store::Result<()> {
        let zip = self.store.blobs().read(function.about.zip)?;
        if let Err(error) = self.store.unpack(&function.spec.code, zip).await {
            let arn = &function.spec.arn;
            tracing::error!(%arn, error = &error as &dyn std::error::Error, "cannot unpack a function's code");
        }
        Ok(())
    }
}

/// The key of what runs, for the key of a function or a version: numbers are written without the zeros.
fn spec_key(key: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(key);
    match FunctionArn::parse(&text) {
        Some(arn) if arn.qualifier().is_some() => {
            let number = arn.qualifier().unwrap_or_default().trim_start_matches('0');
            arn.qualified(number).as_str().as_bytes().to_vec()
        }
        _ => key.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use crate::lambda::testing::{Bench, OTHER_ZIP};
    use serde_json::json;

    #[tokio::test]
    async fn packages_follow_their_functions_at_the_next_start() {
        let bench = Bench::new();
        bench.created().await;
        let first = bench.lambda.store.packages().list().unwrap();
        bench.send("PUT", "/2015-03-31/functions/f/code", json!({"ZipFile": OTHER_ZIP})).await;
        assert_eq!(bench.lambda.store.packages().list().unwrap().len(), 2);
        let bench = bench.reopen();
        bench.lambda.sweep().await.unwrap();
        let kept = bench.lambda.store.packages().list().unwrap();
        assert_eq!(kept.len(), 1);
        assert_ne!(kept, first);
        bench.lambda.store.packages().remove(&kept[0]).unwrap();
        bench.lambda.sweep().await.unwrap();
        assert_eq!(bench.lambda.store.packages().list().unwrap(), kept);
    }
}
