//! The one engine configuration. The build script compiles components with it, `ss-wasm` runs them with it; code
//! compiled under any other is refused when it is loaded.
//!
//! Every option that changes compiled code is set here, so that neither a cargo feature nor a new default can move
//! it. Nothing here reads the environment.

use wasmtime::{
    Config, Inlining, ModuleVersionStrategy, OptLevel, RegallocAlgorithm, Strategy,
    WasmBacktraceDetails, WasmFeatures,
};

/// The exact wasmtime that this workspace pins. Its own check of stored code looks at the major version only.
pub const WASMTIME_VERSION: &str = "48.0.8";

/// The wasm stack of one instance.
pub const WASM_STACK: usize = 512 << 10;

/// What LLVM, CPython and QuickJS emit, and nothing more: no threads, no 64-bit memories, no garbage collector, no
/// exceptions, no relaxed SIMD (its results differ between machines).
fn wasm_features() -> WasmFeatures {
    WasmFeatures::FLOATS
        | WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::SIMD
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::TAIL_CALL
        // Wasmtime itself joins composed components with modules that see both memories, and panics without it.
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::COMPONENT_MODEL
}

/// The configuration of every engine in `ss`.
pub fn engine_config() -> Config {
    let mut config = Config::new();
    config.wasm_features(WasmFeatures::all(), false).wasm_features(wasm_features(), true);
    // Component-model async is compiled out; this keeps its checks out as well.
    config.concurrency_support(false);

    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::Backtracking)
        // One bit pattern for NaN, so that a replay computes what the first run computed.
        .cranelift_nan_canonicalization(true)
        .cranelift_debug_verifier(false)
        .cranelift_wasmtime_debug_checks(false)
        .compiler_inlining(Inlining::No)
        .debug_info(false)
        .native_unwind_info(false)
        .generate_address_map(false)
        .consume_fuel(false)
        .epoch_interruption(true)
        .signals_based_traps(true)
        .table_lazy_init(true)
        .memory_init_cow(true);

    // Wasmtime's defaults for 64-bit machines, in numbers: guard pages on both sides instead of bounds checks.
    config
        .memory_reservation(4 << 30)
        .memory_reservation_for_growth(2 << 30)
        .memory_guard_size(32 << 20)
        .memory_may_move(true)
        .guard_before_linear_memory(true);

    // Of the running instance only; compiled code does not depend on these.
    config
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(2 << 20)
        .async_stack_zeroing(true)
        .wasm_backtrace_max_frames(None)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);

    let version = ModuleVersionStrategy::Custom(format!("ss-1-{WASMTIME_VERSION}"));
    config.module_version(version).expect("the version text is shorter than 255 bytes");
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_accepts_the_configuration() {
        wasmtime::Engine::new(&engine_config()).expect("the configuration is consistent");
    }

    #[test]
    fn the_version_is_the_one_that_is_locked() {
        let lock = include_str!("../../../Cargo.lock");
        let entry = format!("name = \"wasmtime\"\nversion = \"{WASMTIME_VERSION}\"\n");
        assert!(lock.contains(&entry), "WASMTIME_VERSION differs from Cargo.lock");
    }
}
