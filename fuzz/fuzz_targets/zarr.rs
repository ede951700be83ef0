#![no_main]

#[path = "../../crates/actum-cli/examples/damage/bodies.rs"]
#[allow(dead_code)]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::store(bytes));
