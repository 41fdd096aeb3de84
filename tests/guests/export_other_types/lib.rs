//! Exports the right name with other types.

wit_bindgen::generate!({
    inline: "
        package starsystem:provisioner@0.1.0;
        interface lifecycle { manifest: func() -> u32; }
        world provisioner { export lifecycle; }
    ",
});

use exports::starsystem::provisioner::lifecycle::Guest;

struct Component;

impl Guest for Component {
    fn manifest() -> u32 {
        1
    }
}

export!(Component);
