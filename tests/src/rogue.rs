//! A gate that says to its monitor and its leader what a test wants to be said: `tests/attacker`'s rogue, which serves
//! everybody else by the real gate.

use crate::machine::{Build, Machine};
use anyhow::Context;

/// The rogue in the gate's place. Dropping it puts the gate back.
pub struct Rogue<'m>(&'m Machine);

const FOLDER: &str = "/usr/local/libexec/wrd-dm";

impl<'m> Rogue<'m> {
    pub fn in_place(machine: &'m Machine) -> anyhow::Result<Self> {
        Self::in_place_as(Build::Dev, machine)
    }

    /// One of the build that is installed.
    pub fn in_place_as(build: Build, machine: &'m Machine) -> anyhow::Result<Self> {
        let profile = if build == Build::Release { "release" } else { "debug" };
        let program = format!("/usr/src/wrd-dm/target/{profile}/wrd-rogue-gate");
        let put = Self(machine);
        // There is a gate at every moment.
        machine
            .sh(&format!(
                "set -e; cd {FOLDER}; mkdir -p real; ln -f wrd-gate real/wrd-gate
                 install -m 0755 {program} new; mv -f new wrd-gate"
            ))
            .context("cargo build -p wrd-attacker makes it")?;
        Ok(put)
    }

    /// Plays one case, to its end; what it told, line by line.
    pub fn play(&self, case: &str) -> anyhow::Result<Vec<String>> {
        let script = "exec 3<>/dev/tcp/127.0.0.1/3389; echo \"rogue $CASE\" >&3; timeout 90 cat <&3";
        let told = self.0.sh(&format!("CASE='{case}' bash -c '{script}' || true"))?;
        Ok(told.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }
}

impl Drop for Rogue<'_> {
    fn drop(&mut self) {
        let back = format!("cd {FOLDER}; [ ! -e real/wrd-gate ] || mv -f real/wrd-gate wrd-gate; rm -rf real new");
        if let Err(error) = self.0.sh(&back) {
            println!("    the gate could not be put back: {error:#}");
        }
    }
}
