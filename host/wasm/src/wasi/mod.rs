//! The part of WASI 0.2 that language runtimes force, and no more.
//!
//! What is answered comes from the host's recorded clock and chance, so that a replay sees the same. Files and sockets
//! do not exist: their interfaces are linked as denials only so that a component which merely imports them can start.

mod cli;
mod clocks;
mod denied;
mod io;

use wasmtime::component::{Component, HasSelf, Linker};

use crate::state::State;

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "answered",
        imports: { default: async | trappable },
        with: {
            "wasi:io/error.error": super::io::IoError,
            "wasi:io/poll.pollable": super::io::Pollable,
            "wasi:io/streams.input-stream": super::io::Input,
            "wasi:io/streams.output-stream": super::io::Output,
            "wasi:cli/terminal-input.terminal-input": super::cli::Terminal,
            "wasi:cli/terminal-output.terminal-output": super::cli::Terminal,
        },
    });
}

/// Links what is answered, and denials for the rest that this component imports.
pub(crate) fn link(linker: &mut Linker<State>, component: &Component) -> wasmtime::Result<()> {
    bindings::Answered::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    denied::link(linker, component)
}
