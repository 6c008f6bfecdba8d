//! What passes between the server and the launcher.
