//! Speaks a contract that does not exist yet.

wit_bindgen::generate!({
    inline: "
        package starsystem:provisioner@0.9.0;
        interface lifecycle { manifest: func() -> string; }
        world provisioner { export lifecycle; }
    ",
});

use exports::starsystem::provisioner::lifecycle::Guest;

struct Component;

impl Guest for Component {
    fn manifest() -> String {
        "{}".to_owned()
    }
}

export!(Component);
