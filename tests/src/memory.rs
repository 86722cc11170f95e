//! Looking for secrets where they should not be: in the memory of a process, seen from outside, and in any other bytes.
//!
//! Always true: a secret is looked for in pieces, since memory that is freed loses its first bytes and keeps the rest.
//! Deliberately absent: registers, and what the kernel holds in sockets.

use crate::processes::has_ended;
use anyhow::Context;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes that are looked for, and what they are.
#[derive(Clone, Debug)]
pub struct Needle {
    pub name: String,
    bytes: Vec<u8>,
}

/// Where some were found.
#[derive(Clone, Debug)]
pub struct Find {
    pub needle: String,
    /// The mapping, as `/proc/PID/maps` has it, or a file.
    pub place: String,
    /// From the beginning of that.
    pub offset: u64,
    /// What stands around it, readable as far as it is text.
    pub around: String,
}

impl Needle {
    pub fn new(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.to_owned(), bytes: bytes.to_vec() }
    }

    /// Every piece of a text, as bytes and in UTF-16.
    pub fn of_text(text: &str) -> Vec<Self> {
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let wide = |piece: &[u8]| Self::new(&format!("{} in UTF-16", readable(piece).replace('.', "")), piece);
        let pieces = text.as_bytes().chunks_exact(PIECE).map(|piece| Self::new(&readable(piece), piece));
        pieces.chain(utf16.chunks_exact(2 * PIECE).map(wide)).collect()
    }

    /// Every piece of a hash, and of its digits.
    pub fn of_hash(name: &str, hash: &[u8]) -> Vec<Self> {
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let upper = hex.to_uppercase();
        let bytes = hash.chunks_exact(PIECE).map(|piece| Self::new(name, piece));
        let digits = [hex, upper].into_iter().flat_map(|digits| {
            let name = format!("{name} in digits");
            digits.as_bytes().chunks_exact(2 * PIECE).map(|piece| Self::new(&name, piece)).collect::<Vec<_>>()
        });
        bytes.chain(digits).collect()
    }
}

/// All that is found in some bytes.
pub fn search(place: &str, bytes: &[u8], needles: &[Needle]) -> Vec<Find> {
    let mut begins = [false; 256];
    needles.iter().filter_map(|needle| needle.bytes.first()).for_each(|first| begins[usize::from(*first)] = true);
    let at = |(index, _): (usize, &u8)| {
        let rest = &bytes[index..];
        let hits = needles.iter().filter(|needle| rest.starts_with(&needle.bytes));
        hits.map(|needle| Find {
            needle: needle.name.clone(),
            place: place.to_owned(),
            offset: index as u64,
            around: readable(
                &bytes[index.saturating_sub(AROUND)..bytes.len().min(index + needle.bytes.len() + AROUND)],
            ),
        })
        .collect::<Vec<_>>()
    };
    bytes.iter().enumerate().filter(|(_, byte)| begins[usize::from(**byte)]).flat_map(at).collect()
}

/// All that is found in what a process has written to its memory. Where it has just ended there is nothing.
pub fn search_process(process: &Path, needles: &[Needle]) -> anyhow::Result<Vec<Find>> {
    let opened = File::open(process.join("mem"))
        .and_then(|memory| fs::read_to_string(process.join("maps")).map(|maps| (memory, maps)));
    let (memory, maps) = match opened {
        Err(_) if has_ended(process) => return Ok(Vec::new()),
        opened => opened.with_context(|| format!("memory of {}", process.display()))?,
    };
    let longest = needles.iter().map(|needle| needle.bytes.len()).max().unwrap_or(0);
    let mut found = Vec::new();
    for line in maps.lines() {
        let Some(range) = Range::of_written(line) else { continue };
        let mut chunk = vec![0; CHUNK];
        let mut at = range.start;
        while at < range.end {
            let length = CHUNK.min(usize::try_from(range.end - at).unwrap_or(CHUNK));
            let Ok(read) = memory.read_at(&mut chunk[..length], at) else {
                // A page that cannot be had, behind the end of a file for one.
                at += PAGE;
                continue;
            };
            if read == 0 {
                break;
            }
            let place = format!("{} {line}", name(process));
            for find in search(&place, &chunk[..read], needles) {
                found.push(Find { offset: at - range.start + find.offset, ..find });
            }
            // One that stands across the edge is found in the next chunk; two edges of one range find it twice.
            at += if read == CHUNK { (read - longest) as u64 } else { read as u64 };
        }
    }
    Ok(found)
}

/// What a process was started with, which everybody or its user can read.
pub fn search_start(process: &Path, needles: &[Needle]) -> Vec<Find> {
    let read = |file: &&str| fs::read(process.join(file)).map(|bytes| (format!("{} {file}", name(process)), bytes));
    let files = ["environ", "cmdline", "auxv"];
    files.iter().filter_map(|file| read(file).ok()).flat_map(|(place, bytes)| search(&place, &bytes, needles)).collect()
}

/// All that is found in the files below a folder.
pub fn search_files(folder: &Path, needles: &[Needle]) -> anyhow::Result<Vec<Find>> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return Ok(found) };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            found.extend(search_files(&entry.path(), needles)?);
        } else if kind.is_file()
            && let Ok(bytes) = fs::read(entry.path())
        {
            found.extend(search(&entry.path().display().to_string(), &bytes, needles));
        }
    }
    Ok(found)
}

struct Range {
    start: u64,
    end: u64,
}

impl Range {
    /// Of a line of maps, where a process can have written: not the pages of a file as it is, nor the kernel's own.
    fn of_written(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let rights = words.next()?;
        let path = words.nth(3).unwrap_or_default();
        let is_file = path.starts_with('/') && !path.starts_with("/memfd:");
        let kernels = ["[vvar", "[vdso", "[vsyscall"].iter().any(|name| path.starts_with(name));
        let written = rights.starts_with('r') && (rights.starts_with("rw") || !is_file);
        if !written || kernels || path.starts_with("/dev/") {
            return None;
        }
        Some(Self { start: u64::from_str_radix(start, 16).ok()?, end: u64::from_str_radix(end, 16).ok()? })
    }
}

/// Name and pid.
fn name(process: &Path) -> String {
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
    format!("{} {}", name.trim(), process.file_name().unwrap_or_default().to_string_lossy())
}

fn readable(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect()
}

const CHUNK: usize = 1 << 20;
const PAGE: u64 = 4096;
const AROUND: usize = 48;
/// Short enough to be left of a password of any length; no chance finds it.
const PIECE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eventually;
    use std::os::unix::process::CommandExt;
    use std::path::PathBuf;
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn what_a_process_holds_is_found_wherever_it_is() {
        // Written backwards, so that it stands nowhere else in this program.
        let text: String = "nohpolyXtauqmuK".chars().rev().chain(['7']).collect();
        let needles = Needle::of_text(&text);
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        // Across the edge of two chunks of a mapping of its own, and a part of it on the stack.
        let mut large = vec![0_u8; 3 * CHUNK];
        large[2 * CHUNK - 7..][..utf16.len()].copy_from_slice(&utf16);
        let mut stack = [0_u8; 64];
        stack[16..24].copy_from_slice(&text.as_bytes()[PIECE..]);
        std::hint::black_box((&large, &stack));
        let found = search_process(Path::new("/proc/self"), &needles).unwrap();
        let has = |needle: &str| found.iter().any(|find| find.needle == needle);
        assert!(has("KumquatX in UTF-16") && has("ylophon7 in UTF-16") && has("ylophon7"), "{found:?}");
    }

    #[test]
    fn what_a_process_was_started_with_is_found() {
        let mut child = Command::new("sleep").arg("60").env("HELD", "Jabberwock").arg0("Bandersnatch").spawn().unwrap();
        let needles = [Needle::new("variable", b"Jabberwock"), Needle::new("argument", b"Bandersnatch")];
        let process = PathBuf::from(format!("/proc/{}", child.id()));
        // The kernel lets us go on a moment before it has told where both of them are.
        let found = eventually("both", Duration::from_secs(10), || {
            let found = search_start(&process, &needles);
            Ok((found.len() == 2).then_some(found))
        });
        child.kill().unwrap();
        child.wait().unwrap();
        let places: Vec<String> = found.unwrap().into_iter().map(|find| find.place).collect();
        assert!(places[0].ends_with(" environ") && places[1].ends_with(" cmdline"), "{places:?}");
    }

    #[test]
    fn what_nobody_holds_is_not_found() {
        let needles = Needle::of_text("Jabberwick and bondersnatch");
        assert!(search("here", b"Jabberwock and Bandersnatch", &needles).iter().all(|find| find.needle == "Jabberwi"));
        let found = search("here", b"..Bandersnatch..", &[Needle::new("x", b"Bandersnatch")]);
        assert_eq!((found.len(), found[0].offset), (1, 2));
        assert!(search("here", b"..Bandersnatc", &[Needle::new("x", b"Bandersnatch")]).is_empty());
    }
}
