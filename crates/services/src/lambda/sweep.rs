//! Puts the unpacked packages in order when the program starts: what no function has goes, what one lacks comes.

use super::Lambda;
use super::function::{ABOUT, Function};
use model::CodeId;
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
        let mut last: Option<Vec<u8>> = None;
        loop {
            let batch = self.functions_after(last.as_deref())?;
            let Some((key, _)) = batch.last() else { break };
            last = Some(key.clone());
            for (_, function) in batch {
                let code = &function.spec.code;
                if kept.insert(code.clone()) && !self.store.packages().contains(code) {
                    self.unpack_again(&function).await?;
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

    fn functions_after(&self, key: Option<&[u8]>) -> store::Result<Vec<(Vec<u8>, Function)>> {
        self.store.read(|view| {
            let from = key.map_or(From::At(b""), From::After);
            let mut functions = Vec::new();
            for (key, about) in view.scan(&ABOUT, b"", from, BATCH)? {
                if let Some(spec) = view.get(&SPECS, &key)? {
                    functions.push((key, Function { spec, about }));
                }
            }
            Ok(functions)
        })
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
