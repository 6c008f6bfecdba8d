//! A function with AWS's `lambda_runtime` crate: greets whom the event names.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Request {
    name: String,
}

#[derive(Serialize)]
struct Greeting {
    greeting: String,
    request_id: String,
    memory_mb: i32,
}

// One thread is enough: a process serves one event.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(greet)).await
}

async fn greet(event: LambdaEvent<Request>) -> Result<Greeting, Error> {
    let (request, context) = (event.payload, event.context);
    if request.name.is_empty() {
        return Err("nobody to greet".into());
    }
    println!("greeting {}", request.name);
    Ok(Greeting {
        greeting: format!("Hello, {}!", request.name),
        request_id: context.request_id,
        memory_mb: context.env_config.memory,
    })
}
