//! The Lambda API: functions, their code and configuration, and calls to them.
