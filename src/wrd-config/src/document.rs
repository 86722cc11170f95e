//! One TOML text, taken apart key by key: what is taken is checked, what is left over is an error.

use crate::ConfigError;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Largest configuration file, in bytes.
const MAX_FILE: u64 = 256 * 1024;

/// A configuration text under way. Errors collect; [`Document::finish`] gives them back.
pub struct Document<'t> {
    file: PathBuf,
    text: &'t str,
    sections: BTreeMap<String, Entry<'t>>,
    /// The sections asked for, with the keys asked for in each.
    known: BTreeMap<&'static str, Vec<&'static str>>,
    errors: Vec<ConfigError>,
}

/// One key: where it stands and what it holds.
struct Entry<'t> {
    key_span: Range<usize>,
    value: Spanned<DeValue<'t>>,
}

impl<'t> Document<'t> {
    pub fn parse(file: &Path, text: &'t str) -> Self {
        let (table, broken) = DeTable::parse_recoverable(text);
        let mut document =
            Self { file: file.to_owned(), text, sections: BTreeMap::new(), known: BTreeMap::new(), errors: Vec::new() };
        for error in &broken {
            let message = error.message().replace('\n', ", ");
            document.error(error.span(), None, message);
        }
        // What stands around a syntax error may mean anything: then nothing of the file counts.
        if broken.is_empty() {
            document.sections = entries(table.into_inner());
        }
        document
    }

    /// Takes `section.key` as text.
    pub fn string(&mut self, section: &'static str, key: &'static str) -> Option<String> {
        let entry = self.take(section, key)?;
        let value = entry.value.get_ref().as_str().map(str::to_owned);
        if value.is_none() {
            self.wrong_type(section, key, &entry.value, "text in quotes");
        }
        value
    }

    /// Takes `section.key` as text that `parse` understands.
    pub fn parsed<T>(
        &mut self,
        section: &'static str,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        let span = self.span(section, key);
        let text = self.string(section, key)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(expected) => {
                let shown: String = text.chars().take(60).collect();
                self.error(span, Some(dotted(section, key)), format!("expected {expected}, found {shown:?}"));
                None
            }
        }
    }

    /// Takes `section.key` as a list of texts that `parse` understands, each of them.
    pub fn list<T>(
        &mut self,
        section: &'static str,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Option<Vec<T>> {
        let entry = self.take(section, key)?;
        let Some(items) = entry.value.get_ref().as_array() else {
            self.wrong_type(section, key, &entry.value, "a list of texts");
            return None;
        };
        let mut values = Vec::new();
        for item in items {
            match item.get_ref().as_str().map(&parse) {
                Some(Ok(value)) => values.push(value),
                Some(Err(expected)) => {
                    let shown: String = item.get_ref().as_str().unwrap_or_default().chars().take(60).collect();
                    let text = format!("expected {expected}, found {shown:?}");
                    self.error(Some(item.span()), Some(dotted(section, key)), text);
                }
                None => self.wrong_type(section, key, item, "text in quotes"),
            }
        }
        Some(values)
    }

    /// Takes `section.key` as a whole number in `range`.
    pub fn integer(&mut self, section: &'static str, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let entry = self.take(section, key)?;
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let Some(number) = entry.value.get_ref().as_integer() else {
            self.wrong_type(section, key, &entry.value, &expected);
            return None;
        };
        let digits = number.as_str().replace('_', "");
        match i64::from_str_radix(&digits, number.radix()).ok().and_then(|n| u32::try_from(n).ok()) {
            Some(n) if range.contains(&n) => Some(n),
            _ => {
                let shown: String = number.as_str().chars().take(60).collect();
                let text = format!("expected {expected}, found {shown}");
                self.error(Some(entry.value.span()), Some(dotted(section, key)), text);
                None
            }
        }
    }

    /// An error at `section.key`, which must not have been taken yet to be found.
    pub fn span(&self, section: &str, key: &str) -> Option<Range<usize>> {
        match self.sections.get(section)?.value.get_ref() {
            DeValue::Table(table) => {
                table.iter().find(|(name, _)| name.get_ref().as_ref() == key).map(|(_, value)| value.span())
            }
            _ => None,
        }
    }

    /// The line of a place in this text, from 1.
    pub fn line(&self, span: Option<Range<usize>>) -> Option<usize> {
        let before = self.text.as_bytes().get(..span?.start)?;
        Some(1 + before.iter().filter(|byte| **byte == b'\n').count())
    }

    /// What is wrong with it; whatever has not been asked for by now is unknown.
    pub fn finish(mut self) -> Vec<ConfigError> {
        let sections = std::mem::take(&mut self.sections);
        let allowed_sections = list(self.known.keys());
        for (name, entry) in sections {
            let Some(keys) = self.known.get(name.as_str()).cloned() else {
                let text = format!("unknown section; known are {allowed_sections}");
                self.error(Some(entry.key_span), Some(shortened(&name)), text);
                continue;
            };
            match entry.value.into_inner() {
                DeValue::Table(table) => {
                    for (key, left) in entries(table) {
                        if keys.contains(&key.as_str()) {
                            continue;
                        }
                        let text = format!("unknown key; known in [{name}] are {}", list(keys.iter()));
                        self.error(Some(left.key_span), Some(dotted(&name, &shortened(&key))), text);
                    }
                }
                other => {
                    let text = format!("expected a section [{name}], found {}", a(other.type_str()));
                    self.error(Some(entry.key_span), Some(name), text);
                }
            }
        }
        self.errors.sort_by_key(|error| error.line);
        self.errors
    }

    fn take(&mut self, section: &'static str, key: &'static str) -> Option<Entry<'t>> {
        self.known.entry(section).or_default().push(key);
        let DeValue::Table(table) = self.sections.get_mut(section)?.value.get_mut() else { return None };
        let name = table.keys().find(|name| name.get_ref().as_ref() == key)?.clone();
        let value = table.remove(&name)?;
        Some(Entry { key_span: name.span(), value })
    }

    fn wrong_type(&mut self, section: &str, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) {
        let text = format!("expected {expected}, found {}", a(value.get_ref().type_str()));
        self.error(Some(value.span()), Some(dotted(section, key)), text);
    }

    fn error(&mut self, span: Option<Range<usize>>, key: Option<String>, text: String) {
        let line = self.line(span);
        self.errors.push(ConfigError { file: self.file.clone(), line, key, text });
    }
}

/// Reads a file for [`Document::parse`]. `None` where there is none.
pub fn read(file: &Path) -> Result<Option<String>, ConfigError> {
    let failed = |text: String| ConfigError { file: file.to_owned(), line: None, key: None, text };
    let metadata = match std::fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(format!("cannot be read: {error}"))),
    };
    if !metadata.is_file() {
        return Err(failed("expected a regular file".into()));
    }
    if metadata.len() > MAX_FILE {
        return Err(failed(format!("{} bytes where at most {MAX_FILE} are allowed", metadata.len())));
    }
    let bytes = std::fs::read(file).map_err(|error| failed(format!("cannot be read: {error}")))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(error) => {
            let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
            Err(ConfigError { line: Some(line), ..failed("expected text in UTF-8".into()) })
        }
    }
}

fn entries<'t>(table: DeTable<'t>) -> BTreeMap<String, Entry<'t>> {
    table.into_iter().map(|(key, value)| (key.get_ref().to_string(), Entry { key_span: key.span(), value })).collect()
}

fn dotted(section: &str, key: &str) -> String {
    format!("{section}.{key}")
}

fn shortened(name: &str) -> String {
    name.chars().take(60).map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn list<T: std::fmt::Display>(names: impl Iterator<Item = T>) -> String {
    names.map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}

/// A TOML type with its article.
fn a(kind: &str) -> Cow<'static, str> {
    match kind {
        "string" => "text".into(),
        "integer" => "a whole number".into(),
        "float" => "a number with a fraction".into(),
        "boolean" => "true or false".into(),
        "array" => "a list".into(),
        "table" => "a section".into(),
        other => other.to_owned().into(),
    }
}
