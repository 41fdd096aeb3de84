//! `wasi:io`: standard output that is kept, standard input that is empty, and waiting for moments in time.

use wasmtime::component::Resource;

use super::bindings::wasi::io::streams::StreamError;
use super::bindings::wasi::io::{error, poll, streams};
use crate::state::{State, Stop};

/// The error of a stream. No stream here fails, so none is ever made.
pub struct IoError;
/// Standard input: at its end from the beginning.
pub struct Input;
/// Standard output or standard error; both go to the same place.
pub struct Output;

/// What can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pollable {
    /// It is there.
    Ready,
    /// A moment of the monotonic clock, in nanoseconds.
    At(u64),
}

/// How many zeroes a guest may write at once.
const ZEROES: u64 = 64 << 10;

impl error::Host for State {}

impl error::HostError for State {
    async fn to_debug_string(&mut self, _error: Resource<IoError>) -> wasmtime::Result<String> {
        Ok(String::new())
    }

    async fn drop(&mut self, error: Resource<IoError>) -> wasmtime::Result<()> {
        self.table.delete(error)?;
        Ok(())
    }
}

impl State {
    /// Makes a handle to wait with.
    pub(super) fn pollable(&mut self, pollable: Pollable) -> wasmtime::Result<Resource<Pollable>> {
        Ok(self.table.push(pollable)?)
    }

    async fn is_ready(&mut self, pollable: Pollable) -> wasmtime::Result<bool> {
        match pollable {
            Pollable::Ready => Ok(true),
            Pollable::At(moment) => Ok(self.monotonic_ns().await? >= moment),
        }
    }

    /// Waits until the earliest of the moments, which is then over, whatever the clock says.
    async fn sleep_until(&mut self, moment: u64) -> wasmtime::Result<()> {
        loop {
            let left = moment.saturating_sub(self.monotonic_ns().await?).div_ceil(1_000_000);
            if left == 0 {
                return Ok(());
            }
            let next = u32::try_from(left).unwrap_or(u32::MAX);
            self.host.wait(next).await?;
        }
    }
}

impl poll::Host for State {
    async fn poll(&mut self, list: Vec<Resource<Pollable>>) -> wasmtime::Result<Vec<u32>> {
        let mut pollables = Vec::with_capacity(list.len());
        for handle in &list {
            pollables.push(*self.table.get(handle)?);
        }
        let moment = |pollable: &Pollable| match pollable {
            Pollable::Ready => 0,
            Pollable::At(moment) => *moment,
        };
        let Some(earliest) = pollables.iter().map(moment).min() else {
            return Err(Stop::Broke("it waited for nothing at all".to_owned()).into());
        };
        if earliest > 0 {
            self.sleep_until(earliest).await?;
        }
        let is_over = |(index, pollable)| (moment(pollable) <= earliest).then_some(index);
        Ok((0..).zip(&pollables).filter_map(is_over).collect())
    }
}

impl poll::HostPollable for State {
    async fn ready(&mut self, handle: Resource<Pollable>) -> wasmtime::Result<bool> {
        let pollable = *self.table.get(&handle)?;
        self.is_ready(pollable).await
    }

    async fn block(&mut self, handle: Resource<Pollable>) -> wasmtime::Result<()> {
        match *self.table.get(&handle)? {
            Pollable::Ready => Ok(()),
            Pollable::At(moment) => self.sleep_until(moment).await,
        }
    }

    async fn drop(&mut self, handle: Resource<Pollable>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

impl streams::Host for State {}

type Streamed<T> = wasmtime::Result<Result<T, StreamError>>;

impl streams::HostInputStream for State {
    async fn read(&mut self, _stream: Resource<Input>, _len: u64) -> Streamed<Vec<u8>> {
        Ok(Err(StreamError::Closed))
    }

    async fn blocking_read(&mut self, _stream: Resource<Input>, _len: u64) -> Streamed<Vec<u8>> {
        Ok(Err(StreamError::Closed))
    }

    async fn skip(&mut self, _stream: Resource<Input>, _len: u64) -> Streamed<u64> {
        Ok(Err(StreamError::Closed))
    }

    async fn blocking_skip(&mut self, _stream: Resource<Input>, _len: u64) -> Streamed<u64> {
        Ok(Err(StreamError::Closed))
    }

    async fn subscribe(
        &mut self,
        _stream: Resource<Input>,
    ) -> wasmtime::Result<Resource<Pollable>> {
        self.pollable(Pollable::Ready)
    }

    async fn drop(&mut self, stream: Resource<Input>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

impl State {
    fn print_zeroes(&mut self, len: u64) -> Streamed<()> {
        if len > ZEROES {
            return Err(Stop::Exhausted(format!("it wrote {len} zeroes at once")).into());
        }
        self.printed.write(&vec![0; len as usize]);
        Ok(Ok(()))
    }
}

impl streams::HostOutputStream for State {
    async fn check_write(&mut self, _stream: Resource<Output>) -> Streamed<u64> {
        Ok(Ok(ZEROES))
    }

    async fn write(&mut self, _stream: Resource<Output>, bytes: Vec<u8>) -> Streamed<()> {
        self.printed.write(&bytes);
        Ok(Ok(()))
    }

    async fn blocking_write_and_flush(
        &mut self,
        _stream: Resource<Output>,
        bytes: Vec<u8>,
    ) -> Streamed<()> {
        self.printed.write(&bytes);
        Ok(Ok(()))
    }

    async fn flush(&mut self, _stream: Resource<Output>) -> Streamed<()> {
        Ok(Ok(()))
    }

    async fn blocking_flush(&mut self, _stream: Resource<Output>) -> Streamed<()> {
        Ok(Ok(()))
    }

    async fn subscribe(
        &mut self,
        _stream: Resource<Output>,
    ) -> wasmtime::Result<Resource<Pollable>> {
        self.pollable(Pollable::Ready)
    }

    async fn write_zeroes(&mut self, _stream: Resource<Output>, len: u64) -> Streamed<()> {
        self.print_zeroes(len)
    }

    async fn blocking_write_zeroes_and_flush(
        &mut self,
        _stream: Resource<Output>,
        len: u64,
    ) -> Streamed<()> {
        self.print_zeroes(len)
    }

    async fn splice(
        &mut self,
        _stream: Resource<Output>,
        _source: Resource<Input>,
        _len: u64,
    ) -> Streamed<u64> {
        Ok(Err(StreamError::Closed))
    }

    async fn blocking_splice(
        &mut self,
        _stream: Resource<Output>,
        _source: Resource<Input>,
        _len: u64,
    ) -> Streamed<u64> {
        Ok(Err(StreamError::Closed))
    }

    async fn drop(&mut self, stream: Resource<Output>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
