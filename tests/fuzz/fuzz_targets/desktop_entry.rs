//! Fuzzes `targets::desktop_entry`.
#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code, reason = "each target uses one function of it")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::desktop_entry(data));
