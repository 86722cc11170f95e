//! Logging: to standard error, with systemd's `<level>` prefix where that is the journal.
//!
//! No process opens a socket to log (the gate may not), so journald gets plain lines: the message, then
//! `key=value` fields. The level comes from `WRD_LOG` (`error`, `warn`, `info`, `debug`, `trace`, or
//! tracing's directives), `info` by default, of libraries less.

use std::fmt;
use std::io::{IsTerminal, Write};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Our own words at `info`; smithay tells at `info` what is of use to its developers only, and calloop warns of events
/// that were overtaken by the end of their source.
const DEFAULT_FILTER: &str = "info,smithay=warn,calloop=error";

/// Starts logging for this process; a second call is ignored.
pub fn init() {
    let filter = EnvFilter::try_from_env("WRD_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let journal = std::env::var_os("JOURNAL_STREAM").is_some() && !std::io::stderr().is_terminal();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .event_format(Lines { journal })
        .with_writer(|| WholeLines(Vec::new()))
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Collects one event and writes it with one call, so that lines of two processes never mix.
struct WholeLines(Vec<u8>);

impl Write for WholeLines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for WholeLines {
    fn drop(&mut self) {
        // A log that cannot be written must not stop a desktop.
        let _ = std::io::stderr().write_all(&self.0);
    }
}

struct Lines {
    journal: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = *event.metadata().level();
        if self.journal {
            let priority = match level {
                Level::ERROR => 3,
                Level::WARN => 4,
                Level::INFO => 6,
                _ => 7,
            };
            write!(writer, "<{priority}>")?;
        } else {
            write!(writer, "{level:>5} ")?;
        }
        if let Some(scope) = ctx.event_scope() {
            for span in scope.from_root() {
                let extensions = span.extensions();
                if let Some(fields) = extensions.get::<tracing_subscriber::fmt::FormattedFields<N>>()
                    && !fields.is_empty()
                {
                    write!(writer, "[{fields}] ")?;
                }
            }
        }
        ctx.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
