//! What stands around the numbers, and how many of them become a few.

use serde_json::{Value, json};
use std::process::Command;
use wrd_tests::machine::tree;

/// What was measured, where and when, and how busy the machine was before.
pub fn circumstances() -> Value {
    json!({
        "commit": output("git", &["describe", "--always", "--dirty"]),
        "when": output("date", &["-u", "+%FT%TZ"]),
        "cpu": cpu(),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "load_before": load(),
    })
}

/// How busy the machine is.
pub fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(tree()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    model.unwrap_or_default().trim_start_matches(['\t', ' ', ':']).to_owned()
}

/// Median, 95th percentile and range of measurements, one decimal.
pub fn summary(mut samples: Vec<f64>) -> Value {
    samples.sort_by(f64::total_cmp);
    let at = |share| percentile(&samples, share).map(rounded);
    json!({ "p50": at(0.5), "p95": at(0.95), "min": at(0.0), "max": at(1.0), "samples": samples.len() })
}

/// The same with each tenth of them on the way from the least to the most.
pub fn distribution(mut samples: Vec<f64>) -> Value {
    samples.sort_by(f64::total_cmp);
    let tenths: Vec<_> = (0..=10).map(|tenth| percentile(&samples, f64::from(tenth) / 10.0).map(rounded)).collect();
    let mut report = summary(samples);
    report["tenths"] = tenths.into();
    report
}

/// Of measurements in order.
pub fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let index = ((sorted.len() as f64 - 1.0) * share).round() as usize;
    sorted.get(index).copied()
}

/// To one decimal.
pub fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
