//! A deploy as it happens: a live tree on a terminal, blocks as services finish elsewhere.
//!
//! Lines of services that run side by side are never mixed: a service's block is printed whole, when it is done.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use ss_core::ident::ServiceId;
use ss_core::plan::Action;
use ss_ports::{Event, EventSink};

use super::style::Style;

/// Where the finished blocks go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// To standard output: they are the answer.
    Stdout,
    /// To standard error: the answer is JSON.
    Stderr,
    /// Nowhere.
    Quiet,
}

struct Block {
    title: String,
    lines: Vec<String>,
    spinner: Option<ProgressBar>,
}

/// Listens to a run and shows it.
pub struct Progress {
    output: Output,
    style: Style,
    live: Option<MultiProgress>,
    blocks: Mutex<BTreeMap<ServiceId, Block>>,
}

impl Progress {
    /// A live tree needs a terminal on both streams: blocks scroll on one, spinners turn on the other.
    pub fn new(output: Output, style: Style) -> Self {
        let terminal = std::io::stderr().is_terminal()
            && (output == Output::Stderr || std::io::stdout().is_terminal());
        let live = (output != Output::Quiet && terminal).then(MultiProgress::new);
        Self { output, style, live, blocks: Mutex::default() }
    }

    fn begin(&self, service: ServiceId, provider: &str, action: Action) {
        let title = match action {
            Action::Destroy => format!("→ {service} via {provider} (destroy)..."),
            Action::Replace => format!("→ {service} via {provider} (replace)..."),
            _ => format!("→ {service} via {provider}..."),
        };
        let spinner = self.live.as_ref().map(|live| {
            let spinner = live.add(ProgressBar::new_spinner());
            let template = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg}");
            spinner.set_style(template.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            spinner.set_prefix(format!("{service} via {provider}"));
            spinner.enable_steady_tick(Duration::from_millis(120));
            spinner
        });
        self.blocks().insert(service, Block { title, lines: Vec::new(), spinner });
    }

    fn blocks(&self) -> std::sync::MutexGuard<'_, BTreeMap<ServiceId, Block>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, service: &ServiceId, line: Option<String>, status: &str) {
        if let Some(block) = self.blocks().get_mut(service) {
            if let Some(spinner) = &block.spinner {
                spinner.set_message(status.to_owned());
            }
            block.lines.extend(line);
        }
    }

    fn end(&self, service: &ServiceId, last: Option<String>) {
        let Some(mut block) = self.blocks().remove(service) else { return };
        block.lines.extend(last);
        if let Some(spinner) = &block.spinner {
            spinner.finish_and_clear();
        }
        let mut text = format!("{}\n", block.title);
        for line in &block.lines {
            text.push_str(&format!("  {line}\n"));
        }
        text.push('\n');
        self.print(&text);
    }

    fn print(&self, text: &str) {
        let write = || {
            // A closed pipe is the reader's choice; the run goes on.
            let _ = match self.output {
                Output::Stdout => std::io::stdout().write_all(text.as_bytes()),
                Output::Stderr => std::io::stderr().write_all(text.as_bytes()),
                Output::Quiet => Ok(()),
            };
        };
        match &self.live {
            // On a terminal that was closed `suspend` would panic, and the deploy would end half-way.
            Some(live) if live.clear().is_ok() => live.suspend(write),
            _ => write(),
        }
    }
}

impl EventSink for Progress {
    fn event(&self, event: Event) {
        match event {
            Event::Started { service, provider, action } => self.begin(service, &provider, action),
            Event::Step { service, message } => {
                let line = format!("{} {message}", self.style.green("✓"));
                self.add(&service, Some(line), &message);
            }
            Event::Log { service, message } => self.add(&service, None, &message),
            Event::Waiting { service, reason } => self.add(&service, None, &reason),
            Event::Finished { service, result, action, .. } => {
                let last = match (result, action) {
                    (Err(message), _) => Some(format!("{} {message}", self.style.red("✗"))),
                    (Ok(_), Action::Destroy) => {
                        Some(format!("{} Destroyed", self.style.green("✓")))
                    }
                    (Ok(_), _) => None,
                };
                self.end(&service, last);
            }
            Event::Blocked { service, by } => {
                self.print(&format!("− {service} blocked: it stands on {by}\n\n"));
            }
        }
    }
}
