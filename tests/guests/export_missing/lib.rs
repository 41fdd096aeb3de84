//! Is a component, but no provisioner.

wit_bindgen::generate!({
    inline: "package test:other; world other { export run: func() -> string; }",
});

struct Component;

impl Guest for Component {
    fn run() -> String {
        "hello".to_owned()
    }
}

export!(Component);
