//! `wasi:clocks` and `wasi:random`, from the same recorded source as the contract's own clock and chance.

use wasmtime::component::Resource;

use super::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use super::bindings::wasi::random::{insecure, insecure_seed, random};
use super::io::Pollable;
use crate::state::State;

/// The host's clock counts milliseconds.
const RESOLUTION_NS: u32 = 1_000_000;

impl monotonic_clock::Host for State {
    async fn now(&mut self) -> wasmtime::Result<u64> {
        self.monotonic_ns().await
    }

    async fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::from(RESOLUTION_NS))
    }

    async fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<Pollable>> {
        self.pollable(Pollable::At(when))
    }

    async fn subscribe_duration(&mut self, when: u64) -> wasmtime::Result<Resource<Pollable>> {
        let now = self.monotonic_ns().await?;
        self.pollable(Pollable::At(now.saturating_add(when)))
    }
}

impl wall_clock::Host for State {
    async fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let now_ms = self.host.now_ms().await? as u64;
        let nanoseconds = (now_ms % 1_000) as u32 * RESOLUTION_NS;
        Ok(wall_clock::Datetime { seconds: now_ms / 1_000, nanoseconds })
    }

    async fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: RESOLUTION_NS })
    }
}

impl State {
    async fn random_u64(&mut self) -> wasmtime::Result<u64> {
        let bytes = self.host.random(8).await?;
        let mut word = [0; 8];
        word.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        Ok(u64::from_le_bytes(word))
    }
}

impl random::Host for State {
    async fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        Ok(self.host.random(len).await?)
    }

    async fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.random_u64().await
    }
}

impl insecure::Host for State {
    async fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        Ok(self.host.random(len).await?)
    }

    async fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.random_u64().await
    }
}

impl insecure_seed::Host for State {
    async fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.random_u64().await?, self.random_u64().await?))
    }
}
