//! What the gate takes from itself before it reads the client's first byte.
//!
//! Root and every capability, new privileges, core dumps and ptrace, descriptors beyond the given ones, all but small
//! limits, every file, every port and every signal to others (Landlock), and with a seccomp filter every system call
//! that [`Policy`] does not list. When the relay begins a second, smaller filter follows ([`relay_only`]). What the
//! kernel lacks of Landlock is logged; everything else is required. Nothing is opened from here on: keyboard layouts
//! and fonts are in the program.

mod policy;

pub use policy::{Policy, Rule, Stage};

use anyhow::{Context, Result};
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, RestrictionStatus, Ruleset, RulesetAttr, RulesetStatus,
    Scope,
};
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::geteuid;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;
use tracing::{debug, warn};
use wrd_sys::harden;

/// Address space in bytes: several times what a login at the largest size has.
const ADDRESS_SPACE: u64 = 256 * 1024 * 1024;
/// Standard input, output and error, the client, the monitor, the login, the link.
const DESCRIPTORS: u64 = 7;
/// As whom a gate goes on that was started as root: `nobody`, everywhere.
const NOBODY: u32 = 65534;

/// Everything, in the order in which nothing takes away what a later step needs. `given` is the number of
/// descriptors that the process was started with.
pub fn enter(policy: &Policy, given: u32) -> Result<()> {
    harden::close_from(given).context("close what was not given")?;
    if geteuid().is_root() {
        harden::become_user(NOBODY, NOBODY).context("leave root")?;
    }
    harden::drop_capabilities().context("drop the capabilities")?;
    harden::no_new_privileges().context("no_new_privs")?;
    harden::not_dumpable().context("not dumpable")?;
    // A crash is told by its signal, not by a handler that would have to be let through below.
    harden::crash_plainly().context("default actions for crashes")?;
    limit(Resource::RLIMIT_NOFILE, DESCRIPTORS)?;
    // Only counts for ordinary users; the filter forbids fork to all.
    limit(Resource::RLIMIT_NPROC, 0)?;
    limit(Resource::RLIMIT_AS, ADDRESS_SPACE)?;
    limit(Resource::RLIMIT_MEMLOCK, 0)?;
    limit(Resource::RLIMIT_MSGQUEUE, 0)?;
    let RestrictionStatus { ruleset, landlock, .. } = landlock()?;
    match ruleset {
        RulesetStatus::FullyEnforced => debug!("landlock is in force, all of it"),
        RulesetStatus::PartiallyEnforced => debug!("landlock is in force, as far as this kernel has it: {landlock:?}"),
        RulesetStatus::NotEnforced => warn!("this kernel has no landlock: the system call filter stands alone"),
    }
    apply(policy.rules(Stage::Login)).context("seccomp")
}

/// What a relay needs is less: nobody to talk to but the client and the link.
pub fn relay_only(policy: &Policy) -> Result<()> {
    apply(policy.rules(Stage::Relay)).context("seccomp")
}

fn limit(resource: Resource, value: u64) -> Result<()> {
    setrlimit(resource, value, value).with_context(|| format!("limit {resource:?} to {value}"))
}

/// No file, no port, no signal and no abstract socket outside of this process.
fn landlock() -> Result<RestrictionStatus> {
    let abi = ABI::V6;
    Ok(Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .restrict_self()?)
}

fn apply(rules: &[Rule]) -> Result<()> {
    // Several rules of one call each have conditions: without any, a call is allowed with all arguments.
    let mut calls: BTreeMap<_, Vec<SeccompRule>> = BTreeMap::new();
    for rule in rules {
        let alternatives = calls.entry(rule.call).or_default();
        if !rule.when.is_empty() {
            alternatives.push(alternative(rule.when)?);
        }
    }
    let arch = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(calls, SeccompAction::KillProcess, SeccompAction::Allow, arch)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(seccompiler::apply_filter(&program)?)
}

fn alternative(arguments: &[policy::Argument]) -> Result<SeccompRule, seccompiler::BackendError> {
    let conditions = arguments.iter().map(|it| {
        let length = if it.mask > u32::MAX.into() { SeccompCmpArgLen::Qword } else { SeccompCmpArgLen::Dword };
        SeccompCondition::new(it.index, length, SeccompCmpOp::MaskedEq(it.mask), it.value)
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;
