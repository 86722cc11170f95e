//! A process's place among those of this machine. Whoever serves strangers stands behind those who serve people that
//! are logged in, and has no more than half of the processors: a flood of logins must not slow a desktop down.
//!
//! Niceness alone does not do. The kernel weighs it within a group of processes only (a control group, or a session
//! where it groups by those), and a key press passes a dozen processes of several groups, each of which may have to
//! wait for the end of a stranger's slice. So strangers work in long slices, which the kernel (from Linux 6.12 on)
//! lets everybody cut short who has shorter ones, and there are processors that they never run on.

use nix::errno::Errno;
use nix::libc::{self, SCHED_BATCH, SYS_sched_getattr, SYS_sched_setattr, sched_attr};
use nix::unistd::{Pid, getppid};
use rustix::thread::{CapabilitySet, CpuSet, capabilities, sched_getaffinity, sched_setaffinity};
use std::io;

/// How urgent a process is, and on which processors it runs.
#[derive(Clone, Debug)]
pub struct Place {
    schedule: Schedule,
    /// Nothing where the kernel knows more than fit here.
    processors: Option<CpuSet>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Schedule {
    policy: u32,
    niceness: i32,
    priority: u32,
    /// ns; 0 is what the kernel finds right.
    slice: u64,
}

/// Steps of niceness that those who serve strangers stand behind the others.
const BEHIND: i32 = 10;

/// The slice of those who need not be waited for, in ns. The kernel's own is some 3 ms.
const LONG_SLICE: u64 = 30_000_000;

impl Place {
    /// That of this process.
    pub fn own() -> io::Result<Self> {
        Self::of(Pid::from_raw(0))
    }

    /// That of the process that started this one. Where that has ended, of whoever took over its children: an init.
    pub fn of_parent() -> io::Result<Self> {
        match Self::of(getppid()) {
            // Ended between the two calls.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Self::of(getppid()),
            place => place,
        }
    }

    fn of(process: Pid) -> io::Result<Self> {
        let processors = sched_getaffinity(rustix::process::Pid::from_raw(process.as_raw())).ok();
        Ok(Self { schedule: Schedule::of(process)?, processors })
    }

    /// The one for strangers behind this one.
    pub fn of_strangers(&self) -> io::Result<Self> {
        // Lower niceness takes a capability, and everyone has to come back.
        let may_return = capabilities(None)?.effective.contains(CapabilitySet::SYS_NICE);
        let niceness = self.schedule.niceness + if may_return { BEHIND } else { 0 };
        let schedule = Schedule { niceness, ..self.of_patient().schedule };
        Ok(Self { schedule, processors: self.processors.as_ref().map(upper_half) })
    }

    /// The same but for a process that others need not wait for: it does not interrupt them, they may interrupt it.
    pub fn of_patient(&self) -> Self {
        // Of a real-time process's place the priority would be wrong.
        let schedule = Schedule { policy: SCHED_BATCH as u32, priority: 0, slice: LONG_SLICE, ..self.schedule };
        Self { schedule, processors: self.processors }
    }

    /// Puts this process there. Allocates nothing.
    pub fn take(&self) -> io::Result<()> {
        self.give(Pid::from_raw(0))
    }

    /// Puts a process there that has one thread. Where none of the place's processors is there any more, which is what a
    /// machine may lose while it runs, the process stays on those that it has.
    pub fn give(&self, process: Pid) -> io::Result<()> {
        self.schedule.give(process)?;
        let Some(processors) = &self.processors else { return Ok(()) };
        match sched_setaffinity(rustix::process::Pid::from_raw(process.as_raw()), processors) {
            Ok(()) | Err(rustix::io::Errno::INVAL) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Schedule {
    #[allow(unsafe_code)]
    fn of(process: Pid) -> io::Result<Self> {
        // SAFETY: all fields are numbers.
        let mut attr: sched_attr = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes no more than the size that it is told.
        Errno::result(unsafe {
            libc::syscall(SYS_sched_getattr, process.as_raw(), &raw mut attr, size_of::<sched_attr>(), 0)
        })?;
        let sched_attr { sched_policy: policy, sched_nice: niceness, sched_priority: priority, .. } = attr;
        Ok(Self { policy, niceness, priority, slice: 0 })
    }

    #[allow(unsafe_code)]
    fn give(&self, process: Pid) -> io::Result<()> {
        // SAFETY: all fields are numbers.
        let mut attr: sched_attr = unsafe { std::mem::zeroed() };
        attr.size = size_of::<sched_attr>() as u32;
        attr.sched_policy = self.policy;
        attr.sched_nice = self.niceness;
        attr.sched_priority = self.priority;
        attr.sched_runtime = self.slice;
        // SAFETY: the kernel reads as much as `size` says.
        Errno::result(unsafe { libc::syscall(SYS_sched_setattr, process.as_raw(), &raw const attr, 0) })?;
        Ok(())
    }
}

/// The latter half of some processors, rounded down but for a single one: interrupts are mostly served by the first.
fn upper_half(all: &CpuSet) -> CpuSet {
    let skipped = all.count().div_ceil(2) as usize;
    let upper = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)).skip(skipped);
    let mut half = CpuSet::new();
    upper.for_each(|cpu| half.set(cpu));
    if half.count() == 0 { *all } else { half }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(cpus: &[usize]) -> CpuSet {
        let mut set = CpuSet::new();
        cpus.iter().for_each(|cpu| set.set(*cpu));
        set
    }

    #[test]
    fn strangers_have_half_of_the_processors_at_most_and_one_at_least() {
        for (all, half) in [
            (&[3][..], &[3][..]),
            (&[0, 1], &[1]),
            (&[1, 4, 6], &[6]),
            (&[0, 1, 2, 3], &[2, 3]),
            (&[2, 3, 5, 700, 1023], &[700, 1023]),
        ] {
            assert_eq!(upper_half(&set(all)), set(half), "{all:?}");
        }
    }

    #[test]
    fn processors_that_are_gone_keep_nobody_from_working() {
        // On a thread of its own: its place is the only one that changes.
        std::thread::spawn(|| {
            let own = Place::own().unwrap();
            let gone = Place { processors: Some(set(&[CpuSet::MAX_CPU - 1])), ..own.clone() };
            gone.take().unwrap();
            assert_eq!(Place::own().unwrap().processors, own.processors);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn who_is_patient_has_no_real_time_priority() {
        let schedule = Schedule { policy: libc::SCHED_RR as u32, niceness: 0, priority: 5, slice: 0 };
        let place = Place { schedule, processors: None };
        for patient in [place.of_patient(), place.of_strangers().unwrap()] {
            assert_eq!((patient.schedule.policy, patient.schedule.priority), (SCHED_BATCH as u32, 0));
        }
    }

    #[test]
    fn a_place_can_be_left_for_the_former_one() {
        // In a thread, whose place ends with it.
        let told = std::thread::spawn(|| {
            let own = Place::own()?;
            own.of_strangers()?.take()?;
            let there = Place::own()?;
            own.take()?;
            io::Result::Ok((own, there, Place::own()?))
        });
        let (before, there, after) = told.join().unwrap().unwrap();
        assert_eq!(there.processors, before.processors.as_ref().map(upper_half));
        assert_eq!(there.schedule.policy, SCHED_BATCH as u32);
        assert_eq!((after.schedule, after.processors), (before.schedule, before.processors));
    }
}
