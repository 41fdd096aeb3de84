//! The hostile component: built once, and stamped with the one behaviour that it is to have.

static BUILT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hostile.wasm"));
const MARK: &[u8] = b"@@hostile-stamp@@";

/// The hostile component with one behaviour. Each is a component of its own, with a digest of its own.
pub fn hostile(behaviour: &str) -> Vec<u8> {
    stamped("hostile", behaviour)
}

/// The same as a plugin of another name.
pub(crate) fn stamped(name: &str, behaviour: &str) -> Vec<u8> {
    let stamp = format!("{name}:{behaviour}");
    assert!(stamp.len() < 63, "{stamp} fits");
    let mut bytes = BUILT.to_vec();
    let at = bytes.windows(MARK.len()).position(|window| window == MARK);
    let text = at.expect("it was built with a place for the stamp") + MARK.len();
    bytes[text..text + stamp.len()].copy_from_slice(stamp.as_bytes());
    bytes
}
