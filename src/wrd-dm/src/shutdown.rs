//! The end. Under systemd the monitor just goes: gates and sessions live on without it. Stand-alone it
//! takes everything along that it started, in an order in which clients hear why.

use crate::monitor::{Child, Monitor};
use crate::scan;
use crate::table::Table;
use nix::sys::signal::Signal;
use std::fs;
use std::time::{Duration, Instant};

/// How far a stand-alone end has come.
#[derive(Debug)]
pub struct Shutdown {
    step: Step,
    deadline: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Sessions end and tell their clients.
    Sessions,
    /// Gates that still run have nobody behind them.
    Gates,
    /// Whatever is left does not listen.
    Kill,
}

impl Shutdown {
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

impl Monitor {
    /// SIGTERM or SIGINT came.
    pub fn stop(&mut self) {
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        // systemd keeps the sockets.
        self.drop_connections_of(&[]);
        for listener in self.listeners.drain(..) {
            self.handle.remove(listener.token);
        }
        self.close_waiting();
        if !self.mode.is_standalone() {
            tracing::info!("stopped accepting; sessions and connections go on");
            return self.signal.stop();
        }
        if self.shutdown.is_some() {
            // Whoever asks twice does not want to wait.
            return self.kill_all();
        }
        tracing::info!("ending all sessions and connections");
        end_sessions(&mut self.table);
        self.signal_children(Signal::SIGTERM, |child| matches!(child, Child::Leader(_)));
        self.shutdown = Some(Shutdown { step: Step::Sessions, deadline: Instant::now() + FOR_SESSIONS });
    }

    /// Takes the next step once the last one is done or out of time. Called after every turn.
    pub fn go_on_with_shutdown(&mut self) {
        let Some(shutdown) = &self.shutdown else { return };
        let late = Instant::now() >= shutdown.deadline;
        let leaders = self.children.values().any(|child| matches!(child, Child::Leader(_)));
        let adopted = self.table.session_count().0 > 0;
        let gates = self.children.values().any(|child| matches!(child, Child::Gate(_)));
        match shutdown.step {
            _ if !leaders && !gates && !adopted => self.finish(),
            Step::Sessions if late || (!leaders && !adopted) => {
                self.signal_children(Signal::SIGTERM, |child| matches!(child, Child::Gate(_)));
                self.next_step(Step::Gates, FOR_GATES);
            }
            Step::Gates if late => self.kill_all(),
            Step::Kill if late => self.finish(),
            _ => {}
        }
    }

    fn kill_all(&mut self) {
        tracing::warn!("killing what does not end: {} processes", self.children.len());
        self.signal_children(Signal::SIGKILL, |_| true);
        self.next_step(Step::Kill, FOR_KILLING);
    }

    fn next_step(&mut self, step: Step, time: Duration) {
        self.shutdown = Some(Shutdown { step, deadline: Instant::now() + time });
        // The alarm was set before this step was taken.
        self.set_alarm();
    }

    fn finish(&mut self) {
        // The folder is ours alone: sockets, and what leaders have made there for sessions that are gone.
        let left = scan::uids(&self.paths.sessions_dir());
        let removed = if left.is_empty() {
            fs::remove_dir_all(&self.paths.runtime_dir)
        } else {
            tracing::warn!("these sessions have not ended; uids={left:?}");
            fs::remove_file(self.paths.control_socket())
        };
        if let Err(error) = removed {
            tracing::warn!("cannot clean up {}: {error}", self.paths.runtime_dir.display());
        }
        self.signal.stop();
    }
}

/// Also those whose leaders are no children of ours, because an earlier monitor started them.
fn end_sessions(table: &mut Table) {
    let uids: Vec<u32> = table.sessions().map(|info| info.uid).collect();
    for uid in uids {
        // One that is still starting is ended by its leader's signal.
        let _ = table.terminate(uid);
    }
}

const FOR_SESSIONS: Duration = Duration::from_secs(6);
const FOR_GATES: Duration = Duration::from_secs(2);
const FOR_KILLING: Duration = Duration::from_secs(1);
