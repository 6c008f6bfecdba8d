//! An extension with AWS's `lambda-extension` crate: says what it hears of the function's events and of its telemetry.

use lambda_extension::{
    Error, Extension, LambdaEvent, LambdaTelemetry, LambdaTelemetryRecord, NextEvent, SharedService, service_fn,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let telemetry = SharedService::new(service_fn(hear));
    Extension::new()
        .with_events(&["INVOKE", "SHUTDOWN"])
        .with_events_processor(service_fn(next))
        .with_telemetry_types(&["platform", "function"])
        .with_telemetry_processor(telemetry)
        .run()
        .await
}

async fn next(event: LambdaEvent) -> Result<(), Error> {
    match event.next {
        NextEvent::Invoke(event) => println!("extension: event {}", event.request_id),
        NextEvent::Shutdown(event) => println!("extension: the end, {}", event.shutdown_reason),
    }
    Ok(())
}

async fn hear(records: Vec<LambdaTelemetry>) -> Result<(), Error> {
    for record in records {
        match record.record {
            LambdaTelemetryRecord::Function(line) => println!("extension: the function says {}", line.trim_end()),
            LambdaTelemetryRecord::PlatformReport { status, .. } => println!("extension: reported {status:?}"),
            _ => {}
        }
    }
    Ok(())
}
