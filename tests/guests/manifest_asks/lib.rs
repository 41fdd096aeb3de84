//! Asks for something while it describes itself.

fn manifest() -> String {
    guest::progress::step("describing");
    guest::manifest("manifest-asks")
}

guest::describe!(manifest);
