//! The page for users that lists every operation of the Lambda API, made from [`OPERATIONS`].

use super::OPERATIONS;
use std::fmt::Write;

/// What an operation that is served does not do, or why one is refused.
const NOTES: &[(&str, &str)] = &[
    ("AddPermission", "callers are not checked yet"),
    ("CreateEventSourceMapping", "queues only; no `ProvisionedPollerConfig`"),
    (
        "CreateFunction",
        "no images, VPC, file systems, code signing, `KMSKeyArn`; the architecture is the machine's",
    ),
    ("GetFunctionCodeSigningConfig", "always none"),
    ("Invoke", "no `TenantId`, no durable executions"),
    ("PutFunctionEventInvokeConfig", "destinations are functions and standard queues"),
    ("PutRuntimeManagementConfig", "`Manual` with the present version only"),
    ("UpdateEventSourceMapping", "as CreateEventSourceMapping"),
    ("UpdateFunctionCode", "as CreateFunction"),
    ("UpdateFunctionConfiguration", "as CreateFunction"),
    ("UpdateFunctionEventInvokeConfig", "as PutFunctionEventInvokeConfig"),
];

/// The page.
pub(super) fn page() -> String {
    let served = OPERATIONS.iter().filter(|operation| operation.run.is_some()).count();
    let mut page = format!(
        "# Operations of the Lambda API\n\nMade from the table of operations; a test keeps it equal. {served} of {} \
         are served. The others are refused with status 501, `NotImplemented` and their name. A parameter that is not \
         supported is refused by its name.\n\n| operation | | but |\n|---|---|---|\n",
        OPERATIONS.len()
    );
    for operation in OPERATIONS {
        let note = NOTES.iter().find(|(name, _)| *name == operation.name).map(|(_, note)| *note);
        let state = match (operation.run, note) {
            (None, _) => "refused",
            (Some(_), None) => "served",
            (Some(_), Some(_)) => "partly",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| {} | {state} | {} |", operation.name, note.unwrap_or_default());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/lambda-operations.md");

    #[test]
    fn the_page_is_as_the_table() {
        let written = std::fs::read_to_string(FILE).unwrap_or_default();
        assert_eq!(written, page(), "run: cargo test -p services -- --ignored the_page_is_written");
        for (name, _) in NOTES {
            assert!(
                OPERATIONS.iter().any(|operation| operation.name == *name && operation.run.is_some()),
                "{name}"
            );
        }
    }

    #[test]
    #[ignore = "writes the page"]
    fn the_page_is_written() {
        std::fs::write(FILE, page()).unwrap();
    }
}
